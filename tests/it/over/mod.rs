//! The tests of pairs once more, over links: simulated streams of bytes that cut them anywhere, as
//! they are and with TLS in them; and TCP connections of this machine, as they are and with TLS in
//! them, by the code that all stream loops share. The same bodies, the same endpoints, the same
//! virtual time; only what lies between the two is another ([`Carrier`]). Each is also held to it:
//! something went that way, and nothing by datagrams.
//!
//! What is not run is in `left_out`, with the reason; a test that is in neither list fails
//! `every_test_of_pairs_is_run_over_links_or_left_out`.

mod left_out;

use std::collections::BTreeSet;
use std::path::Path;
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

/// The suite, over each kind of links, and its names.
macro_rules! suite {
    ($($module:ident { $($test:ident,)* })*) => {
        mod pipe {
            over! { tripline_tests::Carrier::Pipe => $($module { $($test,)* })* }
        }
        mod tls_pipe {
            over! { tripline_tests::Carrier::TlsPipe => $($module { $($test,)* })* }
        }
        mod tcp {
            over! { tripline_tests::Carrier::Tcp => $($module { $($test,)* })* }
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
        t05_no_answer_amplifies,
        t27_an_old_capture_never_reaches_a_new_connection,
        t37_repeated_packets_are_dropped_and_counted,
        r_hand_1_a_refused_confirm_reflects_nothing,
        t17_a_private_server_does_not_answer_xx,
    }
    batches {
        t11_batches_where_messages_cannot_be_gathered,
        t28_batches_arrive_as_their_messages,
        t30_gathered_messages_have_fates_of_their_own,
        t44_a_batch_is_taken_whole_or_not_at_all,
    }
    cells_admission {
        r_hand_half_open_lost,
        r_hand_half_open_repeated,
        r_hand_half_open_late,
        r_hand_half_open_reordered,
        r_hand_half_open_forged,
        r_hand_screening_repeated,
        r_hand_screening_late,
        r_hand_screening_reordered,
        r_hand_screening_forged,
        r_hand_ready_repeated,
        r_hand_ready_late,
        r_hand_ready_reordered,
        r_hand_ready_forged,
    }
    cells_close {
        r_close_leaving_lost_superseded,
        r_close_leaving_repeated,
        r_close_leaving_crossing,
        r_close_leaving_reordered,
        r_close_leaving_forged,
        r_close_closing_lost,
        r_close_closing_repeated,
        r_close_closing_late,
        r_close_closing_crossing,
        r_close_closing_forged,
        r_close_draining_lost,
        r_close_draining_repeated,
        r_close_draining_late,
        r_close_draining_forged,
        r_close_gone_late,
        r_close_gone_crossing,
    }
    cells_handshake {
        r_hand_resolving_forged,
        r_hand_opening_repeated,
        r_hand_opening_late,
        r_hand_opening_reordered,
        r_hand_opening_reordered_then_through,
        r_hand_opening_forged_of_another_attempt,
        r_hand_challenged_lost,
        r_hand_challenged_repeated,
        r_hand_challenged_late,
        r_hand_challenged_forged,
        r_hand_pinging_lost_for_long,
        r_hand_pinging_repeated,
        r_hand_pinging_late,
        r_hand_pinging_forged,
    }
    cells_packets {
        r_packet_ack_lost,
        r_packet_ack_repeated,
        r_packet_ack_late,
        r_packet_ping_lost_and_repeated,
        r_packet_pong_lost_and_repeated,
        r_packet_stream_lost,
        r_packet_stream_repeated,
        r_packet_stream_late_on_a_stopped_stream,
        r_packet_skip_repeated_and_early,
        r_packet_skip_lost,
        r_packet_close_stream_and_stop_lost,
        r_packet_close_stream_and_stop_repeated,
        r_packet_grants_lost,
        r_packet_grants_late,
        r_packet_blocked,
    }
    close {
        t25_a_graceful_close_delivers_what_was_queued,
        t25_a_hard_close_reports_what_was_not_delivered,
        a_dead_link_is_noticed_by_both_sides,
        t25_kill_is_silent,
        t27_a_stale_handle_reaches_nobody,
        keep_alive_holds_an_idle_connection,
        t25_an_idle_leaver_hears_the_peer_out,
        a_grace_that_began_while_pinging_holds,
        an_idle_connection_lives_as_long_as_agreed,
    }
    explain {
        explain_tells_the_hint,
        explain_waits_for_trust_and_for_the_first_answer,
        explain_idle,
        explain_stream_credit_and_unread,
        explain_connection_credit,
        explain_undrained_and_waiting_for_the_handshake,
        explain_silent_peer,
        explain_stream_limit,
        explain_full_buffer,
        explain_key_limit_and_renewal,
        explain_leaving_closing_draining_and_over,
        explain_is_bounded,
        explain_tells_of_a_shut_down,
        explain_tells_what_is_single_and_what_is_unsafe,
    }
    growth {
        r_credit_5_a_slow_reader_gets_no_more,
    }
    guard {
        c4_a_restart_is_noticed_at_once,
        r_reset_2_a_restart_is_noticed_after_renewals,
        c4_a_restart_at_any_packet_ends_the_session,
        t25_the_peer_of_a_killed_connection_learns_it_by_reset,
        r_reset_2_pinging_begins_again_if_nothing_was_sent,
        a5_a_reset_cannot_be_guessed_or_fetched,
        r_reset_2_a_true_token_from_elsewhere_does_not_count,
    }
    handshake {
        t10_every_suite_connects,
        t06_a_wrong_key_is_told_apart_from_silence,
        t03_silence_ends_at_the_deadline,
        t17_a_private_server_knows_its_clients,
        t12_the_screening_decides,
        m01_a_cancelled_attempt_fails_once,
        m01_every_attempt_ends_once_in_any_weather,
        t04_garbage_is_counted_and_nothing_else,
        a_private_server_gives_no_sign_of_life,
    }
    hello {
        both_sides_are_connected_once,
    }
    limits {
        t46_both_sides_see_the_agreed_numbers,
        t46_the_client_cannot_go_below_the_servers_minimum,
        t46_never_is_longer_than_any_minimum,
        t46_reconfigure_allows_more_streams,
        t46_reconfigure_moves_the_windows_of_credit,
        t46_reconfigure_changes_what_silence_means,
        t46_reconfigure_grows_the_send_buffer,
    }
    liveness {
        t20_quiet_comes_before_lost_and_each_once,
        t20_each_silence_is_told,
        t23_a_side_that_probes_outlives_the_silence,
        t23_what_is_owed_waits_twenty_seconds_at_most,
        t23_each_side_decides_for_itself,
    }
    plain {
        t58_unsigned_needs_both_sides,
        t58_unsigned_out_shows_no_identity,
        t58_plain_open_needs_three_switches_on_both_sides,
        t58_a_private_server_stays_silent,
        t58_plain_traffic_needs_both_sides,
        t58_all_is_off_by_default,
        r_plain_4_a_key_that_was_named_is_demanded,
        r_plain_4_nobody_needs_a_key,
        r_plain_5_what_an_observer_reads,
        t59_packets_of_another_connection_are_refused,
        t59_changed_and_repeated_packets_are_refused,
        r_plain_5_keys_are_renewed_under_cipher_2,
        t58_plain_connections_stand_bad_weather,
        r_plain_2_the_suite_cannot_be_changed_on_the_way,
        r_plain_5a_no_token_is_shown_in_renewals,
    }
    profiles {
        t49_web_server_takes_many_requests_and_little_memory,
        t49_iot_server_gives_no_peer_more_than_64_kib,
        t49_game_messages_come_soon_beside_bulk,
        t49_real_time_drops_frames_instead_of_delaying_them,
        t49_iot_says_nothing_for_hours_and_stays_connected,
        t49_profiles_go_together,
    }
    refer {
        t57_in_xx_the_refusal_says_where,
        r_chal_3_hostile_referrals_fail,
        t57_bad_referrals_are_not_sent,
        t57_hostile_forwards_close,
    }
    regressions {
        a_connection_at_rest_lives_as_long_as_agreed,
        leaving_with_nothing_left_names_no_deadline,
        the_end_of_an_early_stream_waits_for_the_limit,
        a_stream_waits_for_credit_once,
        a_challenge_from_a_foreign_address_does_not_lead_astray,
    }
    requests {
        m04_m07_every_request_has_one_outcome,
    }
    reserved {
        t57_ddns_is_reserved_and_ignored,
    }
    row_life {
        t18_an_idle_minute_is_a_handful_of_wakes,
        t19_one_ping_is_out_at_a_time,
        t19_answers_that_do_not_match_are_counted,
        t20_interval_count_and_verdict_are_the_connections_own,
        t25_the_peer_learns_which_of_the_three_it_was,
        t37_old_and_impossible_numbers_are_dropped_and_counted,
    }
    row_streams {
        t44_a_reader_that_stops_pauses_its_stream_alone,
        t45_no_packet_exceeds_its_credit_and_nothing_waits_for_ever,
        t47_no_level_starves,
        t48_a_lone_message_leaves_at_once,
    }
    row_t60 {
        t60_replay,
        t60_man_in_the_middle_with_a_key_of_his_own,
        t60_man_in_the_middle_who_changes_the_handshake,
        t60_injection,
        t60_broken_cipher,
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
        t67_errors_of_no_call_are_a_stream_of_events,
        n21_an_orderly_close_reports_what_was_not_delivered,
        n22_ready_as_soon_as_the_network_is_back,
        n23_what_callers_count_on_is_there,
        n24_the_timeouts_are_as_documented,
    }
    rules_handshake {
        r_hand_3_dear_checks_come_in_order,
        r_hand_6_nobody_stays_connected_alone,
        r_hand_9_a_full_server_is_busy,
        r_hand_9_an_accepted_client_waits_for_room,
    }
    rules_streams {
        r_wire_3_nothing_takes_effect_before_all_is_read,
        r_wire_3_frames_take_effect_in_turn,
        r_wire_3_a_packet_at_a_bound_is_dropped_whole,
        r_stream_1a_an_index_has_one_order,
        r_stream_1b_indexes_come_in_any_order,
        r_stream_1c_an_index_at_its_limit_closes,
        r_stream_1c_only_what_is_there_can_be_named,
        r_credit_1_more_than_a_streams_credit_closes,
        r_credit_1_more_than_the_connections_credit_closes,
        r_credit_1_repeats_are_charged_once,
        r_credit_2_a_smaller_credit_closes,
        r_credit_4_gaps_of_a_stream_are_bounded,
        r_credit_4_gaps_of_a_connection_are_bounded,
        r_credit_4_ranges_of_closed_indexes_are_bounded,
    }
    screening {
        t12_the_screening_chooses_the_psk_by_the_client,
        t12_a_refusal_needs_the_psk_like_any_answer,
        t12_a_psk_is_not_skipped,
        t12_in_xx_the_psk_is_the_servers,
        t12_in_xx_the_psk_is_chosen_by_the_client,
        t12_in_xx_the_wrong_psk_is_silence,
        t12_in_xx_a_forged_confirm_keeps_nobody_out,
    }
    shutdown {
        r_close_7_requests_are_finished,
        r_close_7_the_deadline_holds,
        r_close_7_an_end_that_was_begun_is_hastened,
        r_close_7_newcomers_are_refused,
        r_close_7_half_opens_are_refused,
        r_close_7_a_client_leaves_too,
        r_close_7_many_connections,
    }
    single {
        r_hand_4_opens_that_cross_make_one_connection,
        r_hand_4_opens_cross_in_bad_weather,
        r_hand_4_a_later_one_replaces_once_ready,
        r_hand_4_a_replay_replaces_nothing,
        r_hand_4_not_on_one_side_alone,
        r_hand_4_one_attempt_at_a_time,
        r_hand_4a_streams_wait_for_connected,
        r_hand_4_a_restarted_peer_replaces_its_former_self,
        r_hand_4_an_attempt_that_failed_stands_aside,
    }
    transfer {
        t31_ordered_messages_arrive_in_order,
        t31_unordered_messages_arrive_once,
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
        r_vers_2_a_client_steps_down_on_a_hint,
        r_vers_2_not_without_reason,
        r_vers_2_there_is_one_step,
        r_chal_2a_a_hint_with_our_version_explains_nothing,
        r_vers_1_the_server_names_its_versions,
    }
    violations {
        t61_who_breaks_a_rule_is_cut_off_with_its_code,
        t61_the_frame_at_fault_is_named,
        an_honest_client_behind_the_same_cipher_is_not_accused,
    }
    zones {
        t24_keys_are_renewed_on_demand_under_traffic,
        t24_both_at_once_converge,
        r_zone_3_each_half_is_sent_once_and_answered_at_once,
        r_zone_2_an_old_packet_among_the_new_closes,
        t24_no_key_opens_another_zone,
        r_zone_4_no_renewal_before_ready,
        t24_every_suite_renews,
        r_zone_3_hostile_halves_are_cut_off,
        t24_bad_weather_loses_nothing,
    }
    zones_limits {
        t24_a_connection_that_renews_every_100_packets_loses_nothing,
        t38_a_zone_that_is_used_up_is_followed_by_another,
        r_zone_keys_are_renewed_every_two_minutes,
        r_zone_keep_alives_alone_renew_nothing,
        r_zone_3_wishes_wait_and_are_one,
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

/// The sources of the modules that make pairs, by the name that they have in the lists. Those of
/// links have worlds of their own, and this one has none.
fn sources(folder: &Path, prefix: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the tests are there") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let name = match stem {
            "mod" => prefix.to_owned(),
            _ if prefix.is_empty() => stem.to_owned(),
            _ => format!("{prefix}_{stem}"),
        };
        if path.is_dir() {
            if !matches!(stem, "links" | "over") {
                all.extend(sources(&path, &name));
            }
        } else if let Ok(source) = std::fs::read_to_string(&path)
            && (source.contains("Pair::") || source.contains("Hostile::"))
        {
            all.push((name, source));
        }
    }
    all
}

/// N49, the same API: every test of a module that makes pairs is run over links, or left out for a
/// reason; none is in both lists, and none is listed that is not there.
#[test]
fn every_test_of_pairs_is_run_over_links_or_left_out() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("it"), "");
    let names = |(module, source): &(String, String)| {
        tests(source).into_iter().map(|test| format!("{module}::{test}")).collect::<Vec<_>>()
    };
    let known: BTreeSet<String> = sources.iter().flat_map(names).collect();
    let mut listed = BTreeSet::new();
    let run = SUITE
        .iter()
        .flat_map(|(module, tests)| tests.iter().map(move |test| format!("{module}::{test}")));
    for name in run.chain(left_out::ALL.concat().into_iter().map(str::to_owned)) {
        assert!(listed.insert(name.clone()), "{name} is listed twice");
    }
    let missing: Vec<_> = known.difference(&listed).collect();
    assert!(missing.is_empty(), "neither run over links nor left out: {missing:#?}");
    let stale: Vec<_> = listed.difference(&known).collect();
    assert!(stale.is_empty(), "there is no such test any more: {stale:#?}");
    assert!(SUITE.iter().map(|(_, tests)| tests.len()).sum::<usize>() > 200);
}

/// The check can fail: a test that went by datagrams is none over links.
#[test]
#[should_panic(expected = "nothing went over")]
fn a_test_without_a_link_is_found_out() {
    Carrier::Pipe.run(|| {});
}
