use super::*;

/// Every kind of line, as it is printed.
const HOSTS: [&str; 3] = [
    "server public 10.0.0.1:443 profile=web-server idle=30s keep-alive=5s message-max=24kB \
     stream-credit=48kB connection-credit=96kB credit-max=1MB two-way=3 one-way=4",
    "a.b-c_d private [fd00::1]:443 send-buffer=40kB ack-delay=25ms congestion=newreno \
     datagram=1200 ceiling=1452 ecn=off probe=on renew-packets=100 renew-after=10s",
    "phone known 10.0.1.1:1000 aes=on segments=1 connections=10 retry-above=0 echo=on lies=on sloppy=2.5%",
];
const LINKS: [&str; 5] = [
    "phone<>server delay=40ms jitter=3ms order=free loss=2% copies=1% copies-most=3 \
     copies-delay=30ms reorder=0.5% reorder-delay=20ms",
    "server>phone rate=5Mbit/s queue=64kB mark-above=20kB mtu=1300",
    "phone>server jitter-shape=pareto jitter-kept=50% burst-start=1% burst-end=25% \
     burst-loss=50% burst-most=20 lose-every=7 queue-packets=50 aqm=codel-ecn police=1Mbit/s \
     police-burst=20kB",
    "phone>server flip=1% swap=2% splice=3% truncate=4% extend=5% bleach=6% remark=7% ect-lost=8%",
    "phone>server jitter-shape=normal aqm=tail-drop",
];
const STEPS: [&str; 33] = [
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
];

fn all_lines() -> Scenario {
    Scenario {
        name: "all \"lines\"".into(),
        about: "Every word\nthere is.".into(),
        seed: u64::from(u32::MAX) * 3,
        seal: Seal::Real,
        lasts: Duration::from_secs(90),
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
    ];
    for (line, wanted) in cases {
        let error = line.parse::<Step>().unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains(line), "{line}: {error}");
    }
}

#[test]
fn lines_that_do_not_fit_together_are_refused() {
    let broken = |change: fn(&mut Scenario)| {
        let mut scenario = all_lines();
        change(&mut scenario);
        scenario.check().unwrap_err().to_string()
    };
    let twice = broken(|scenario| scenario.hosts[1].name = "phone".into());
    assert_eq!(twice, "there are two hosts `phone`");
    let address = broken(|scenario| scenario.hosts[1].address = scenario.hosts[0].address);
    assert_eq!(address, "two hosts have the address 10.0.0.1:443");
    let order = broken(|scenario| scenario.steps.swap(0, 32));
    assert!(order.contains("steps stand in order of time"), "{order}");
    let nobody = broken(|scenario| scenario.links[0].way.to = "nobody".into());
    assert_eq!(nobody, "there is no host `nobody`");
    assert!(all_lines().check().is_ok());
}
