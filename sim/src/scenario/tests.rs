use super::*;

/// Every kind of line, as it is printed.
const HOSTS: [&str; 3] = [
    "server public 10.0.0.1:443 profile=web-server idle=30s keep-alive=5s message-max=24kB \
     stream-credit=48kB connection-credit=96kB credit-max=1MB two-way=3 one-way=4",
    "a.b-c_d private [fd00::1]:443 send-buffer=40kB ack-delay=25ms congestion=newreno \
     datagram=1200 ceiling=1452 ecn=off probe=on renew-packets=100 renew-after=10s",
    "phone known 10.0.1.1:1000 behind=router aes=on segments=1 connections=10 retry-above=0 \
     echo=on lies=on sloppy=2.5% skew=-0.5% wander=1% wander-every=10s refuse-longer=1300 \
     refuse-memory=2%",
];
const NATS: [&str; 3] = [
    "router 203.0.113.9 home behind=carrier mapping=address filtering=port timeout=30s \
     refresh=out first-port=40000 ports=200 choice=preserve hairpin=on",
    "carrier 198.51.100.7 symmetric mapping=port filtering=endpoint refresh=both \
     choice=sequential hairpin=off",
    "six fd00:7::1 well-behaved choice=random",
];
const LINKS: [&str; 6] = [
    "phone<>server delay=40ms jitter=3ms order=free loss=2% copies=1% copies-most=3 \
     copies-delay=30ms reorder=0.5% reorder-delay=20ms",
    "server>phone rate=5Mbit/s queue=64kB mark-above=20kB mtu=1300",
    "phone>server jitter-shape=pareto jitter-kept=50% burst-start=1% burst-end=25% \
     burst-loss=50% burst-most=20 lose-every=7 queue-packets=50 aqm=codel-ecn police=1Mbit/s \
     police-burst=20kB",
    "phone>server flip=1% swap=2% splice=3% truncate=4% extend=5% bleach=6% remark=7% ect-lost=8%",
    "phone>server jitter-shape=normal aqm=tail-drop",
    "phone>server rate=1Mbit/s aqm=red red-least=20kB red-most=70kB blackout=200ms \
     blackout-every=10s blackout-first=3s",
];
const STEPS: [&str; 43] = [
    "0s phone connect server as c",
    "0s phone connect server as d deadline=10s",
    "1ms phone open s bytes one-way on c",
    "1ms phone open t unordered two-way on c priority=7",
    "1ms phone send s 24kB",
    "1ms phone send t 10 times=50 every=20ms tries=1 expires=50ms",
    "1ms phone send t 0 tries=3",
    "2ms phone finish s",
    "2ms phone close-stream s 7",
    "2ms server stop s 8",
    "2ms phone priority t 0",
    "2ms server read t 5",
    "2ms server reading all",
    "2ms server reading none",
    "2ms server reading 10kB/s",
    "1s phone renew c",
    "1s phone close c",
    "1s phone close c grace=5s",
    "1s phone kill d",
    "1s phone network-changed",
    "1s server shut-down",
    "1s server shut-down grace=5s",
    "1s phone move [fd00::2]:7",
    "1s server crash",
    "2s server restart",
    "2s phone pause 30d",
    "2s phone jump 5min",
    "2s phone block 50ms",
    "2s server replay 10 over=5s",
    "2s server garbage 10",
    "2s server flood 1000 over=1s",
    "2s link phone>server loss=100%",
    "2s cut phone<>server",
    "2s reboot-nat router",
    "2s readdress-nat carrier 198.51.100.8",
    "2s nat router timeout=5s refresh=out",
    "2s phone clock",
    "2s phone clock skew=5% wander=1% wander-every=20ms",
    "2s phone refuses",
    "2s phone refuses longer=1300 memory=5% all=on",
    "2s phone open r# ordered two-way on c repeat=1000 each=7ms",
    "2s phone send r# 7 times=2 every=5ms repeat=3",
    "2s link phone<>server aqm=red-ecn repeat=2 each=1s",
];

fn all_lines() -> Scenario {
    Scenario {
        name: "all \"lines\"".into(),
        about: "Every word\nthere is.".into(),
        seed: u64::from(u32::MAX) * 3,
        seal: Seal::Real,
        lasts: Duration::from_secs(90),
        nats: NATS.map(|line| line.parse().expect(line)).to_vec(),
        hosts: HOSTS.map(|line| line.parse().expect(line)).to_vec(),
        links: LINKS.map(|line| line.parse().expect(line)).to_vec(),
        steps: STEPS.map(|line| line.parse().expect(line)).to_vec(),
    }
}

#[test]
fn every_line_prints_as_it_reads() {
    let scenario = all_lines();
    for (value, line) in scenario.hosts.iter().zip(HOSTS) {
        assert_eq!(value.to_string(), line);
    }
    for (value, line) in scenario.nats.iter().zip(NATS) {
        assert_eq!(value.to_string(), line);
    }
    for (value, line) in scenario.links.iter().zip(LINKS) {
        assert_eq!(value.to_string(), line);
    }
    for (value, line) in scenario.steps.iter().zip(STEPS) {
        assert_eq!(value.to_string(), line);
    }
    let text = scenario.to_string();
    let again: Scenario = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(again, scenario);
    assert_eq!(again.to_string(), text);
}

#[test]
fn a_wrong_line_is_named_with_what_is_wrong() {
    let cases = [
        ("5 phone crash", "`5` is no length of time"),
        ("5s phone frob", "a host cannot `frob`"),
        ("5s phone", "what the host does is missing"),
        ("5s phone send s", "the size is missing"),
        ("5s phone send s 10 times=x", "times: `x` is no number"),
        ("5s phone send s 10 often=3", "there is no option `often` here"),
        ("5s phone send s 10 tries=0", "a message is sent once at least"),
        ("5s phone open s sorted one-way on c", "`sorted` is none of bytes, ordered"),
        ("5s phone open s bytes one-way at c", "`at` stands where `on` belongs"),
        ("5s phone priority s 8", "`8` is no priority"),
        ("5s phone crash now", "`now` does not belong there"),
        ("5s cut phone", "`phone` is no way"),
        ("5s link a>b speed=3", "a link has no `speed`"),
        ("5s ph\"one crash", "is no name"),
        ("5s reboot-nat", "the NAT's name is missing"),
        ("5s nat r speed=3", "a NAT has no `speed`"),
        ("5s nat r ports=70000", "`70000` is no number, or too large a one"),
        ("5s readdress-nat r 10.0.0.1:5", "is no address without a port"),
        ("5s phone clock skew=95%", "skew: `95%` is no skew"),
        ("5s phone crash each=5s", "how often it happens is missing"),
    ];
    for (line, wanted) in cases {
        let error = line.parse::<Step>().unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains(line), "{line}: {error}");
    }
}

#[test]
fn lines_that_do_not_fit_together_are_refused() {
    let changed = |change: &dyn Fn(&mut Scenario)| {
        let mut scenario = all_lines();
        change(&mut scenario);
        scenario.check().unwrap_err().to_string()
    };
    let broken = |change: fn(&mut Scenario)| changed(&change);
    let twice = broken(|scenario| scenario.hosts[1].name = "phone".into());
    assert_eq!(twice, "there are two hosts `phone`");
    let address = broken(|scenario| scenario.hosts[1].address = scenario.hosts[0].address);
    assert_eq!(address, "two hosts have the address 10.0.0.1:443");
    let order = broken(|scenario| scenario.steps.swap(0, 32));
    assert!(order.contains("steps stand in order of time"), "{order}");
    let nobody = broken(|scenario| scenario.links[0].way.to = "nobody".into());
    assert_eq!(nobody, "there is no host `nobody`");
    let lost = broken(|scenario| scenario.hosts[2].behind = Some("attic".into()));
    assert_eq!(lost, "there is no NAT `attic`");
    let ring = broken(|scenario| scenario.nats[1].behind = Some("router".into()));
    assert!(ring.contains("is behind itself"), "{ring}");
    let kinds = broken(|scenario| scenario.hosts[2].behind = Some("six".into()));
    assert!(kinds.contains("addresses of different kinds"), "{kinds}");
    let server = broken(|scenario| scenario.hosts[0].behind = Some("router".into()));
    assert!(server.contains("no client finds it"), "{server}");
    let twice = broken(|scenario| scenario.nats[1].outside = scenario.nats[0].outside);
    assert!(twice.contains("of `carrier` is taken"), "{twice}");
    let name = broken(|scenario| scenario.hosts[2].name = "nat".into());
    assert!(name.contains("no host can be called `nat`"), "{name}");
    let times = |scenario: &mut Scenario, times| {
        scenario.steps[40].repeat.iter_mut().for_each(|repeat| repeat.times = times);
    };
    let many = changed(&|scenario| times(scenario, 1 << 40));
    assert!(many.contains("200000 times at most"), "{many}");
    let never = changed(&|scenario| times(scenario, 0));
    assert!(never.contains("once at least"), "{never}");
    assert!(all_lines().check().is_ok());
}

/// Repetitions are written out in the order of their times and then of the lines, up to the end.
#[test]
fn repeated_steps_unroll_in_order_and_end_in_time() {
    let text = r#"
name = "unrolled"
seed = 1
lasts = "20ms"
hosts = ["s public 10.0.0.1:443", "c0 client 10.0.1.1:1", "c1 client 10.0.1.2:1"]
steps = [
    "0s c# connect s as d# repeat=2",
    "5ms c0 open r# ordered two-way on d# repeat=10 each=10ms",
    "5ms c0 finish r# repeat=10 each=10ms",
    "6ms c# kill d#",
    "30ms c1 crash",
]
"#;
    let scenario: Scenario = text.parse().unwrap();
    let lines: Vec<_> = scenario.unrolled().steps.iter().map(Step::to_string).collect();
    let wanted = [
        "0s c0 connect s as d0",
        "0s c1 connect s as d1",
        "5ms c0 open r0 ordered two-way on d0",
        "5ms c0 finish r0",
        "6ms c0 kill d0",
        "15ms c0 open r1 ordered two-way on d1",
        "15ms c0 finish r1",
        "30ms c1 crash",
    ];
    assert_eq!(lines, wanted);
    assert_eq!(scenario.to_string().parse::<Scenario>().unwrap(), scenario, "as it was written");
    let error = text.replace("repeat=2", "repeat=3").parse::<Scenario>().unwrap_err();
    assert_eq!(error.to_string(), "there is no host `c2`");
}
