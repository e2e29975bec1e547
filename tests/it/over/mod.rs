//! The tests of pairs once more, over links: reliable streams of bytes that cut them anywhere, as
//! they are and with TLS in them. The same bodies, the same endpoints; only what lies between the
//! two is another ([`Carrier`]). Each is also held to it: something went over the link, and nothing
//! by datagrams.
//!
//! What is not run is in `left_out`, with the reason; a test that is in neither list fails
//! `every_test_of_pairs_is_run_over_links_or_left_out`.

mod left_out;

use std::collections::BTreeSet;
use tripline_tests::Carrier;

/// Makes a test over `$carrier` of each of these.
macro_rules! over {
    ($carrier:expr => $($module:ident { $($test:ident,)* })*) => {
        $(mod $module {
            $(#[test]
            fn $test() {
                $carrier.run(crate::$module::$test);
            })*
        })*
    };
}

/// The suite, over both kinds of links, and its names.
macro_rules! suite {
    ($($module:ident { $($test:ident,)* })*) => {
        mod pipe {
            over! { tripline_tests::Carrier::Pipe => $($module { $($test,)* })* }
        }
        mod tls {
            over! { tripline_tests::Carrier::Tls => $($module { $($test,)* })* }
        }
        const SUITE: &[(&str, &[&str])] =
            &[$((stringify!($module), &[$(stringify!($test),)*]),)*];
    };
}

suite! {
    absence {
        r_rtt_1_a_jump_of_the_clock_is_no_round_trip,
        r_rtt_1_a_little_jump_counts,
        r_rtt_1_a_night_asleep_is_no_round_trip,
    }
    agree {
        r_close_5_a_leaving_side_turns_new_streams_away,
        r_close_2_packets_at_a_bound_are_signs_of_life,
        r_close_6_drained_is_the_last_event_of_every_connection,
        r_close_6_unread_data_outlives_drained,
    }
    attack {
        t27_an_old_capture_never_reaches_a_new_connection,
        t37_repeated_packets_are_dropped_and_counted,
        t17_a_private_server_does_not_answer_xx,
    }
    cells_admission {
        r_hand_screening_late,
        r_hand_screening_forged,
    }
    cells_close {
        r_close_closing_late,
        r_close_closing_forged,
        r_close_draining_late,
        r_close_draining_forged,
    }
    cells_handshake {
        r_hand_challenged_lost,
        r_hand_challenged_late,
    }
    close {
        t25_a_graceful_close_delivers_what_was_queued,
        t25_a_hard_close_reports_what_was_not_delivered,
        t25_kill_is_silent,
        t27_a_stale_handle_reaches_nobody,
        t25_an_idle_leaver_hears_the_peer_out,
        a_grace_that_began_while_pinging_holds,
        an_idle_connection_lives_as_long_as_agreed,
    }
    explain {
        explain_tells_the_hint,
        explain_idle,
        explain_stream_credit_and_unread,
        explain_undrained_and_waiting_for_the_handshake,
        explain_stream_limit,
        explain_full_buffer,
        explain_leaving_closing_draining_and_over,
        explain_is_bounded,
        explain_tells_of_a_shut_down,
        explain_tells_what_is_single_and_what_is_unsafe,
    }
    growth {
        r_credit_5_a_slow_reader_gets_no_more,
    }
    guard {
        r_reset_2_a_restart_is_noticed_after_renewals,
        c4_a_restart_at_any_packet_ends_the_session,
        t25_the_peer_of_a_killed_connection_learns_it_by_reset,
        r_reset_2_pinging_begins_again_if_nothing_was_sent,
    }
    handshake {
        t10_every_suite_connects,
        t06_a_wrong_key_is_told_apart_from_silence,
        t17_a_private_server_knows_its_clients,
        t12_the_screening_decides,
        m01_a_cancelled_attempt_fails_once,
        m01_every_attempt_ends_once_in_any_weather,
        a_private_server_gives_no_sign_of_life,
    }
    hello {
        both_sides_are_connected_once,
    }
    limits {
        t46_the_client_cannot_go_below_the_servers_minimum,
        t46_never_is_longer_than_any_minimum,
        t46_reconfigure_allows_more_streams,
        t46_reconfigure_moves_the_windows_of_credit,
        t46_reconfigure_changes_what_silence_means,
        t46_reconfigure_grows_the_send_buffer,
    }
    liveness {
        t23_what_is_owed_waits_twenty_seconds_at_most,
    }
    plain {
        t58_unsigned_needs_both_sides,
        t58_unsigned_out_shows_no_identity,
        t58_plain_open_needs_three_switches_on_both_sides,
        t58_a_private_server_stays_silent,
        t58_all_is_off_by_default,
        r_plain_4_a_key_that_was_named_is_demanded,
        r_plain_4_nobody_needs_a_key,
        t58_plain_connections_stand_bad_weather,
    }
    profiles {
        t49_web_server_takes_many_requests_and_little_memory,
        t49_iot_server_gives_no_peer_more_than_64_kib,
        t49_game_messages_come_soon_beside_bulk,
        t49_profiles_go_together,
    }
    refer {
        r_chal_3_hostile_referrals_fail,
        t57_bad_referrals_are_not_sent,
        t57_hostile_forwards_close,
    }
    regressions {
        a_connection_at_rest_lives_as_long_as_agreed,
        leaving_with_nothing_left_names_no_deadline,
        the_end_of_an_early_stream_waits_for_the_limit,
        an_acknowledged_ack_proves_that_the_peer_hears,
    }
    requests {
        m04_m07_every_request_has_one_outcome,
    }
    reserved {
        t57_ddns_is_reserved_and_ignored,
    }
    row_life {
        t18_an_idle_minute_is_a_handful_of_wakes,
        t25_the_peer_learns_which_of_the_three_it_was,
    }
    row_streams {
        t44_a_reader_that_stops_pauses_its_stream_alone,
        t45_no_packet_exceeds_its_credit_and_nothing_waits_for_ever,
        t47_no_level_starves,
        t50_two_connections_share_a_bottleneck,
    }
    row_t60 {
        t60_replay,
        t60_man_in_the_middle_with_a_key_of_his_own,
    }
    rows {
        t33_the_receiver_can_end_a_stream,
        t36_nothing_is_resent_after_an_acknowledgement,
        t42_connections_between_the_same_addresses_do_not_cross,
        t48_small_messages_share_a_packet,
        m06_accepted_connections_have_the_listeners_settings,
        m08_the_server_may_ask_first,
    }
    rows_calls {
        t67_one_error_type_with_sources,
        n22_ready_as_soon_as_the_network_is_back,
        n23_what_callers_count_on_is_there,
    }
    rules_handshake {
        r_hand_9_a_full_server_is_busy,
        r_hand_9_an_accepted_client_waits_for_room,
    }
    screening {
        t12_the_screening_chooses_the_psk_by_the_client,
        t12_a_psk_is_not_skipped,
        t12_in_xx_the_psk_is_the_servers,
        t12_in_xx_the_psk_is_chosen_by_the_client,
        t12_in_xx_the_wrong_psk_is_silence,
    }
    shutdown {
        r_close_7_requests_are_finished,
        r_close_7_the_deadline_holds,
        r_close_7_an_end_that_was_begun_is_hastened,
        r_close_7_newcomers_are_refused,
        r_close_7_many_connections,
    }
    transfer {
        t31_ordered_messages_arrive_in_order,
        t31_latest_messages_only_grow_newer,
        t31_bytes_arrive_as_one_run,
        t34_a_message_of_100_mib_arrives_whole,
        t41_ten_thousand_streams_come_and_go,
        t11_early_messages_wait_for_the_peers_limits,
        t35_a_message_of_umtu_bytes_takes_one_datagram,
        t47_shares_follow_the_priorities,
        t45_credit_runs_out_and_comes_back,
        expired_messages_do_not_hold_up_the_rest,
    }
    versions {
        r_vers_1_the_server_names_its_versions,
    }
    violations {
        t61_who_breaks_a_rule_is_cut_off_with_its_code,
        t61_the_frame_at_fault_is_named,
    }
    zones {
        t24_keys_are_renewed_on_demand_under_traffic,
        t24_both_at_once_converge,
        r_zone_every_subset_of_the_exchange_may_be_lost,
        r_zone_4_no_renewal_before_ready,
        t24_every_suite_renews,
        r_zone_3_hostile_halves_are_cut_off,
        t24_bad_weather_loses_nothing,
    }
}

/// The tests of a source: the functions behind `#[test]`.
fn tests(source: &str) -> Vec<&str> {
    let behind = source.split("#[test]").skip(1);
    let name = |rest: &'_ str| -> Option<(usize, usize)> {
        let start = rest.find("fn ")? + 3;
        Some((start, start + rest[start..].find('(')?))
    };
    behind.filter_map(|rest| name(rest).map(|(start, end)| &rest[start..end])).collect()
}

/// N49, the same API: every test of a module that uses pairs is run over links, or left out for a
/// reason; and none is in both lists.
#[test]
fn every_test_of_pairs_is_run_over_links_or_left_out() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("it");
    let (mut known, mut listed) = (BTreeSet::new(), BTreeSet::new());
    for entry in std::fs::read_dir(&here).expect("the tests are there") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let module = stem.expect("a name").to_owned();
        let file = if path.is_dir() { path.join("mod.rs") } else { path };
        let source = std::fs::read_to_string(&file).unwrap_or_default();
        // Those of links have worlds of their own, and this one has none.
        if source.contains("Pair::") && !matches!(module.as_str(), "links" | "over") {
            known.extend(tests(&source).into_iter().map(|test| format!("{module}::{test}")));
        }
    }
    let run = SUITE
        .iter()
        .flat_map(|(module, tests)| tests.iter().map(move |test| format!("{module}::{test}")));
    let left = [left_out::DATAGRAMS, left_out::RATES, left_out::NO_PAIR].concat();
    for name in run.chain(left.into_iter().map(str::to_owned)) {
        assert!(listed.insert(name.clone()), "{name} is listed twice");
    }
    // Modules without a pair of their own may be listed as well.
    let missing: Vec<_> = known.difference(&listed).collect();
    assert!(missing.is_empty(), "neither run over links nor left out: {missing:#?}");
    assert!(SUITE.iter().map(|(_, tests)| tests.len()).sum::<usize>() > 100);
}

/// The check can fail: a test that went by datagrams is none over links.
#[test]
#[should_panic(expected = "nothing went over")]
fn a_test_without_a_link_is_found_out() {
    Carrier::Pipe.run(|| {});
}
