"""
Which tests hold the promise about which threat.

The rows are those of the project's list of threats: H the opening handshake, F framing,
U text, D compression, C closing and resources, K clients, L layers. A test with its row
in its name is found by that; here are the others. ``test_rows.py`` sees that each row
has one.
"""

from __future__ import annotations

COUNTS = {"H": 17, "F": 17, "U": 3, "D": 7, "C": 18, "K": 10}

ROWS = [f"{kind}-{n}" for kind, most in COUNTS.items() for n in range(1, most + 1)]
ROWS += [f"L-{n}" for n in range(1, 12)]


def _frames(row: str) -> list[str]:
    """Return the tests that send what breaks a row, to a server and to a client."""
    return [
        f"faults/test_frames.py test_{role}_fails_the_connection {row}"
        for role in ("server", "client")
    ]


#: row -> tests, each as its file below ``tests``, a name in it, and the first word of
#: the names of those of its cases that are meant
ELSEWHERE = {
    "H-4": [
        "protocol/test_heads.py test_first_line_limit",
        "protocol/test_heads.py test_header_line_limit",
        "protocol/test_heads.py test_head_limit",
        "protocol/test_heads.py test_header_count_limit",
    ],
    "H-6": [
        "asyncio/test_opening.py test_open_timeout_includes_the_tls_handshake",
        "asyncio/test_opening.py test_open_timeout_ends_a_hook",
    ],
    "H-13": [
        "engineio/test_limits.py test_other_origins_are_denied",
        "sockjs/test_server_limits.py test_origins",
        "sockjs/test_serving.py test_h13_stranger_is_refused_each_time",
    ],
    "H-16": [
        "asyncio/test_opening.py test_response_that_cannot_be_sent_is_not",
        "engineio/test_limits.py test_cookie_that_cannot_be_sent",
        "protocol/test_headers.py test_value_that_cannot_be_sent",
        "sockjs/test_serving.py "
        "test_h16_field_that_would_break_out_of_its_line_is_not_sent",
    ],
    "H-17": ["asyncio/test_opening.py test_basic_auth_takes_the_same_time_for_all"],
    "F-1": _frames("F-1"),
    "F-2": _frames("F-2"),
    "F-3": _frames("F-3"),
    "F-4": _frames("F-4"),
    "F-6": _frames("F-6"),
    "F-7": _frames("F-7"),
    "F-15": [
        "c/test_mask.c mask_each_length_and_alignment",
        "c/test_utf8.c utf8_each_length_and_alignment",
    ],
    "F-16": ["c/Makefile msan"],
    "U-3": ["engine/test_utf8.py test_at_each_place_of_a_vector"],
    "D-1": ["asyncio/test_inflating.py test_others_have_their_turn_after_each_step"],
    "D-6": ["protocol/test_pluggable.py test_choice_of_compression_in_a_chain"],
    "D-7": [
        "protocol/test_deflate.py test_bomb_is_cut_at_the_limit",
        "protocol/test_deflate.py test_steps_are_bounded",
    ],
    "C-4": [
        "faults/test_network.py test_c4_segments_are_lost",
        "faults/test_layers.py test_c4_black_hole_under_a_layer",
        "faults/test_layers.py test_c4_process_that_stops_under_a_layer",
        "faults/test_systems.py test_c4_process_that_is_stopped",
    ],
    "C-9": ["asyncio/test_passes.py test_one_connection_cannot_have_a_pass_for_itself"],
    "C-10": [
        "asyncio/test_cancel.py test_cancelling_anything_at_any_point",
        "asyncio/test_cancel_steps.py test_connect",
        "asyncio/test_cancel_steps.py test_receiving",
        "asyncio/test_cancel_steps.py test_send_that_waits",
        "asyncio/test_cancel_steps.py test_close",
        "asyncio/test_cancel_steps.py test_shutdown",
    ],
    "C-11": [
        "asyncio/test_signals.py test_one_signal_closes",
        "asyncio/test_signals.py test_a_second_signal_cuts",
    ],
    "C-13": ["leaks/measure.py measure"],
    "C-16": ["asyncio/test_threads.py test_another_thread_is_refused"],
    "C-17": ["c/Makefile qemu-s390x"],
    "K-3": [
        "asyncio/test_client.py test_silent_server",
        "asyncio/test_proxy.py test_one_time_for_all",
        "asyncio/test_proxy.py test_one_time_for_tls_in_a_tunnel",
        "asyncio/test_racing.py test_time_is_one_for_all_addresses",
        "asyncio/test_tls.py test_a_server_that_says_nothing",
    ],
    "K-5": ["asyncio/test_client.py test_redirect_that_gives_up_tls"],
    "K-7": ["engine/test_encode.py test_a_forked_child_has_keys_of_its_own"],
    "K-10": [
        "asyncio/test_reconnecting.py test_k10_delays_have_a_floor_and_a_ceiling",
        "asyncio/test_reconnecting.py test_a_healthy_connection_sets_the_delays_back",
        "asyncio/test_resending.py test_queue_is_bounded",
    ],
    "L-1": [
        "socketio/test_codec.py test_l1_bad_headers_are_refused",
        "socketio/test_codec.py test_l1_placeholder_out_of_range",
        "socketio/test_parser.py test_l1_bad_packets_are_refused",
        "socketio/test_parser.py test_l1_garbage_is_refused_or_a_packet",
        "socketio/test_parser.py test_l1_bad_packets_of_msgpack",
        "socketio/test_server.py test_l1_bad_packet_ends_that_client_only",
        "socketio/test_acks.py test_l1_acknowledgements_of_one_client_are_limited",
        "socketio/test_pacing.py test_l1_handlers_of_a_connection_are_limited",
    ],
    "L-2": [
        "engineio/test_packets.py test_l2_packets_of_a_payload",
        "engineio/test_packets.py test_l2_time_grows_with_the_length",
        "engineio/test_packets.py test_l2_garbage_is_refused_or_packets",
        "engineio/test_limits.py test_max_http_buffer_size",
        "engineio/test_limits.py test_l2_max_packets",
        "engineio/test_limits.py test_l2_slow_poller",
    ],
    "L-3": [
        "engineio/test_upgrade.py test_l3_identifiers",
        "engineio/test_upgrade.py test_l3_second_websocket_while_one_is_tried",
        "engineio/test_upgrade.py test_l3_session_of_another_transport",
        "sockjs/test_server_limits.py test_l3_session_is_bound_to_its_transport",
    ],
    "L-4": [
        "sockjs/test_server_limits.py test_l4_jsonp_is_off_by_default",
        "sockjs/test_server_pages.py test_invalid_paths",
        "sockjs/test_server_http.py test_callbacks",
        "sockjs/test_server_http.py test_htmlfile_messages_cannot_end_the_script",
    ],
    "L-5": [
        "engine/test_events.py test_l5_newlines_are_refused",
        "engine/test_events.py test_l5_whatever_is_sent_arrives_as_one_event",
        "eventsource/test_server.py test_l5_nothing_breaks_out_of_its_line",
        "eventsource/test_client.py test_l5_endless_line",
        "eventsource/test_client.py test_l5_retry_of_zero_waits_all_the_same",
        "eventsource/test_client.py "
        "test_redirect_to_another_origin_without_credentials",
    ],
    "L-6": [
        "socketio/test_rooms.py test_l6_a_slow_client_holds_nobody_up",
        "socketio/test_rooms.py test_l6_what_waits_for_who_is_being_let_in_is_limited",
        "socketio/test_dropping.py test_l6_events_for_many_are_dropped",
        "socketio/test_dropping.py test_l6_what_is_not_dropped_ends_a_session",
        "socketio/test_dropping.py test_l6_a_client_that_polls",
        "hub/test_topic.py test_l6_never_waits_for_a_client_that_does_not_read",
        "hub/test_topic.py test_one_frame_and_one_compression_for_all",
    ],
    "L-7": [
        "hub/test_envelope.py test_l7_what_is_no_envelope_is_refused",
        "hub/test_envelope.py test_l7_octets_that_are_no_envelope_are_refused",
        "hub/test_envelope.py test_l7_limit",
    ],
    "L-8": [
        "hub/test_engines.py test_l8_killed_and_restarted",
        "hub/test_engines.py test_l8_stopped_and_continued",
        "hub/test_nodes.py test_l8_local_delivery_goes_on",
        "hub/test_bus.py test_l8_oldest_are_dropped_beyond_the_octets",
        "hub/test_bus.py test_l8_what_was_under_way_is_uncertain_and_never_sent_again",
        "socketio/test_redis_outages.py test_redis_is_stopped_and_continues",
        "socketio/test_redis_outages.py test_redis_is_killed_and_comes_back",
    ],
    "L-9": [
        "socketio/test_rooms.py test_l9_rooms_of_one_client_are_limited",
        "socketio/test_rooms.py test_l9_leaving_is_independent_of_others",
        "socketio/test_rooms.py test_l9_children_come_and_go",
        "socketio/test_rooms.py test_l9_namespaces_of_one_connection_are_limited",
        "socketio/test_pacing.py test_l9_coming_and_going_is_limited",
        "socketio/test_recovery.py test_l9_namespaces_that_are_kept_are_limited",
        "hub/test_topic.py test_l9_limit_of_topics",
        "hub/test_topic.py test_l9_empty_topics_are_freed",
        "hub/test_topic.py test_l9_removal_costs_what_the_member_is_in",
    ],
    "L-10": [
        "hub/test_envelope.py test_l10_own_ones_are_dropped",
        "hub/test_nodes.py test_l10_everybody_gets_it_once",
    ],
    "L-11": [
        "hub/test_presence.py test_l11_split_heals_by_itself",
        "hub/test_presence.py test_l11_nobody_stays_for_longer_than_30_s",
        "hub/test_nodes.py test_l11_nodes_find_each_other_again",
    ],
}
