//! Round trips, limits, and parsers that meet arbitrary bytes.

use libmica::command::{Extras, MAX_OOM_SCORE};
use libmica::names::{self, NAME_MAX};
use libmica::{
    ClientState, ClientStatus, Command, CreateMessage, Error, Outcome, Reply, ReplyParser, Service, create,
};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_.-]{1,65}".prop_filter("usable", |name| names::validate(name).is_ok())
}

prop_compose! {
    fn message()(
        name in name(),
        path in "[^\0]{0,60}",
        pedestal in "[a-z]{0,15}",
        pedestal_conf in "[^\0]{0,60}",
        debug: bool,
        cpu in "[0-9,-]{0,127}",
        ints in prop::array::uniform6(any::<i32>()),
        iomem in "[^\0]{0,120}",
        network in "[^\0]{0,120}",
    ) -> CreateMessage {
        let [vcpus, max_vcpus, cpu_weight, cpu_capacity, memory, max_memory] = ints;
        CreateMessage {
            name, path: path.into(), pedestal, pedestal_conf: pedestal_conf.into(), debug, cpu,
            vcpus, max_vcpus, cpu_weight, cpu_capacity, memory, max_memory, iomem, network,
        }
    }
}

proptest! {
    #[test]
    fn create_round_trip(message in message()) {
        let bytes = message.encode().unwrap();
        prop_assert_eq!(CreateMessage::decode(&bytes).unwrap(), message);
    }

    #[test]
    fn create_decodes_any_bytes_or_says_why(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        if let Ok(message) = CreateMessage::from_slice(&bytes) {
            prop_assert_eq!(bytes.len(), create::SIZE);
            prop_assert!(message.encode().is_ok());
        }
    }

    #[test]
    fn create_survives_any_change_of_one_byte(
        message in message(),
        at in 0..create::SIZE,
        byte: u8,
    ) {
        let mut bytes = message.encode().unwrap();
        bytes[at] = byte;
        if let Ok(changed) = CreateMessage::decode(&bytes) {
            prop_assert!(changed.encode().is_ok());
        }
    }

    #[test]
    fn command_decodes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(command) = Command::decode(&bytes) {
            let encoded = command.encode().unwrap();
            prop_assert_eq!(Command::decode(&encoded).unwrap(), command);
        }
    }

    #[test]
    fn reply_split_anywhere(
        text in "(MICA-|SUCCESS|FAILED|M|[a-z ]|\u{e9}){0,40}",
        good: bool,
        cuts in prop::collection::vec(0usize..400, 0..6),
    ) {
        let reply = if good { Reply::success(text) } else { Reply::failed(text) };
        let bytes = reply.encode();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
        cuts.sort_unstable();
        let mut parser = ReplyParser::new();
        let mut parsed = None;
        let mut from = 0;
        for to in cuts.into_iter().chain([bytes.len()]) {
            prop_assert!(parsed.is_none(), "a reply before its marker was complete");
            // The marker is complete only with the last byte.
            if to > from {
                parsed = parser.push(&bytes[from..to]).unwrap();
                from = to;
                if from == bytes.len() { break; }
            }
        }
        let parsed = parsed.unwrap();
        prop_assert_eq!(parsed.outcome, reply.outcome);
        let defused = reply.text.replace("MICA-SUCCESS", "MICA_SUCCESS").replace("MICA-FAILED", "MICA_FAILED");
        prop_assert_eq!(parsed.text, defused);
    }

    #[test]
    fn reply_parser_takes_any_bytes(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..10)) {
        let mut parser = ReplyParser::new();
        for chunk in chunks {
            if parser.push(&chunk).unwrap().is_some() { break; }
        }
    }

    #[test]
    fn status_takes_any_text(text in "\\PC{0,200}") {
        let _ = ClientStatus::parse(&text);
        let _ = ClientStatus::parse_for("client", &text);
    }

    #[test]
    fn status_round_trip(
        name in name(),
        cpu in "[0-9,-]{0,127}",
        state in prop::sample::select(ClientState::ALL.to_vec()),
        device in prop::option::of("/[a-zA-Z0-9/_-]{1,40}"),
    ) {
        let services = vec![
            Service { name: "rpmsg-tty".into(), device: device.map(Into::into) },
            Service { name: "rpmsg-rpc".into(), device: None },
        ];
        let status = ClientStatus { display_name: names::display_name(&name), cpu, state, services };
        prop_assert_eq!(ClientStatus::parse_for(&name, &status.to_string()), Some(status));
    }
}

#[test]
fn every_text_is_refused_one_byte_past_its_limit() {
    type Set = fn(&mut CreateMessage, String);
    let fields: [(&str, usize, Set); 7] = [
        ("client name", 65, |m, s| m.name = s),
        ("firmware path", 255, |m, s| m.path = s.into()),
        ("the pedestal", 15, |m, s| m.pedestal = s),
        ("pedestal configuration", 255, |m, s| m.pedestal_conf = s.into()),
        ("CPU list", 127, |m, s| m.cpu = s),
        ("I/O memory", 511, |m, s| m.iomem = s),
        ("network", 511, |m, s| m.network = s),
    ];
    for (field, limit, set) in fields {
        let mut message = CreateMessage { name: "x".into(), ..CreateMessage::default() };
        set(&mut message, "a".repeat(limit));
        assert_eq!(CreateMessage::decode(&message.encode().unwrap()).unwrap(), message, "{field}");
        set(&mut message, "a".repeat(limit + 1));
        let error = message.encode().unwrap_err().to_string();
        assert!(error.contains(field) && error.contains(&limit.to_string()), "{error}");
        set(&mut message, "a\0b".into());
        assert!(message.encode().is_err(), "{field}: a NUL went through");
    }
}

#[test]
fn an_unterminated_text_is_refused_by_name() {
    let mut bytes = CreateMessage { name: "x".into(), ..CreateMessage::default() }.encode().unwrap();
    bytes[..66].fill(b'n');
    let error = CreateMessage::decode(&bytes).unwrap_err();
    assert!(matches!(error, Error::Unterminated { limit: 65, .. }), "{error}");
}

#[test]
fn older_layouts_are_named() {
    for (length, era) in [
        (164, "2024-03"),
        (324, "2024-05"),
        (328, "2024-05"),
        (980, "2025-09"),
        (1304, "2025-11"),
        (1500, "2025-11"),
        (1824, "2025-11"),
        (0, "empty"),
        (1, "cut short"),
        (1773, "too long"),
    ] {
        let error = CreateMessage::from_slice(&vec![0; length]).unwrap_err().to_string();
        assert!(error.contains(era) && error.contains(&length.to_string()), "{error}");
    }
}

#[test]
fn names_that_cannot_be_used() {
    let long = "a".repeat(NAME_MAX + 1);
    for bad in
        ["", ".", "..", "a/b", "a b", "a\n", "mica-create", "xMICA-SUCCESS", "MICA-FAILEDx", "ä", &long]
    {
        assert!(names::validate(bad).is_err(), "{bad:?} was accepted");
    }
    names::validate(&"a".repeat(NAME_MAX)).unwrap();
}

#[test]
fn tty_names_are_sanitised() {
    assert_eq!(names::tty_name("a.b:c-d_e", 0), "ttyRPMSG_a_b_c-d_e_0");
}

#[test]
fn commands_as_upstream_reads_them() {
    assert_eq!(Command::decode(b"start\0\0\0").unwrap(), Command::Start(Extras::default()));
    assert_eq!(
        Command::decode(b"set Memory 64").unwrap(),
        Command::Set { key: "Memory".into(), value: "64".into() }
    );
    for (bytes, text) in [
        (&b"start\n"[..], "Invalid command: start\n"),
        (b"start ", "Invalid command: start "),
        (b"start oom=1001", "Invalid command: start oom=1001"),
        (b"start oom=-1", "Invalid command: start oom=-1"),
        (b"restore music", "Invalid command: restore music"),
        (b"start patch", "Invalid command: start patch"),
        (b"", "Invalid command: "),
        (b"dance", "Invalid command: dance"),
        (b"set Memory", "Invalid set command. Usage: set <key> <value>"),
        (b"set a b c", "Invalid set command. Usage: set <key> <value>"),
        (b"set CPU\x1b[2J 1", "Invalid set command. Usage: set <key> <value>"),
    ] {
        assert_eq!(Command::decode(bytes).unwrap_err().to_string(), text);
    }
}

#[test]
fn all_that_a_start_can_ask_for_fits_into_a_command() {
    let extras = Extras { firmware: true, patched: false, oom_score: Some(MAX_OOM_SCORE) };
    let restored = Extras { patched: true, ..extras };
    for command in [Command::Start(extras), Command::Restore(restored), Command::Start(Extras::default())] {
        assert_eq!(Command::decode(&command.encode().unwrap()).unwrap(), command);
    }
}

#[test]
fn a_command_of_33_bytes_is_refused() {
    let set = |value: &str| Command::Set { key: "CPU".into(), value: value.into() }.encode();
    assert_eq!(set(&"1".repeat(24)).unwrap().len(), 32);
    assert!(matches!(set(&"1".repeat(25)), Err(Error::CommandTooLong { actual: 33, limit: 32, .. })));
    assert!(matches!(set("1 2"), Err(Error::InvalidSet)));
}

#[test]
fn a_reply_without_end_is_bounded() {
    let mut parser = ReplyParser::new();
    let chunk = vec![b'x'; libmica::reply::MAX_LEN];
    assert_eq!(parser.push(&chunk), Ok(None));
    assert!(parser.push(b"y").is_err());
}

#[test]
fn the_first_marker_ends_a_reply() {
    let mut parser = ReplyParser::new();
    let reply = parser.push(b"oneMICA-FAILEDtwoMICA-SUCCESS").unwrap().unwrap();
    assert_eq!((reply.text.as_str(), reply.outcome), ("one", Outcome::Failed));
}

#[test]
fn columns_are_as_wide_as_upstream_counts() {
    let (display_name, cpu) = ("rtos".to_owned(), "0-\u{24b}".to_owned());
    let status = ClientStatus { display_name, cpu, state: ClientState::Running, services: Vec::new() };
    assert_eq!(ClientStatus::parse(&status.to_string()), Some(status));
}
