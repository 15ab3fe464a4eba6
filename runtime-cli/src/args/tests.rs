//! The grammar, on the command lines that engines use and on wrong ones.

use std::ffi::OsString;

use super::parse::{boolean, check, parse, parse_command};
use super::table::{Arity, COMMANDS, Command, GLOBAL, HELP, Kind};
use super::{Arguments, help};

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

/// The global options, the command and its arguments of a whole command line.
fn parsed(line: &str) -> Result<(Arguments, &'static Command, Arguments), String> {
    let mut globals = parse(words(line), &[GLOBAL, HELP], true)?;
    let mut rest = std::mem::take(&mut globals.operands).into_iter();
    let name = rest.next().ok_or("no command")?;
    let command = Command::named(name.to_str().unwrap()).ok_or("unknown command")?;
    let args = parse_command(command, rest)?;
    check(&command.arity, args.operands.len())?;
    Ok((globals, command, args))
}

/// What was understood, as one line: `global=value... | command | option=value... | operands`.
fn shown(line: &str) -> String {
    let (globals, command, args) = match parsed(line) {
        Ok(parts) => parts,
        Err(message) => return message,
    };
    let values = |from: &Arguments, groups: &[&'static [super::table::Opt]]| {
        let options = groups.iter().flat_map(|group| group.iter());
        let given = options.filter_map(|option| Some((option.long, from.value(option.long)?)));
        given.map(|(name, value)| format!("{name}={} ", value.to_string_lossy())).collect::<String>()
    };
    let operands: Vec<_> = args.operands.iter().map(|word| word.to_string_lossy()).collect();
    let (globals, options) = (values(&globals, &[GLOBAL, HELP]), values(&args, command.options));
    format!("{globals}| {} | {options}| {}", command.name, operands.join(" "))
}

#[test]
fn the_command_lines_of_engines() {
    let table = [
        // containerd
        (
            "--root /run/containerd/runc/k8s.io --log /b/log.json --log-format json --systemd-cgroup create --bundle /b --pid-file /b/init.pid --console-socket /t/s id",
            "root=/run/containerd/runc/k8s.io log=/b/log.json log-format=json systemd-cgroup=true | create | bundle=/b console-socket=/t/s pid-file=/b/init.pid | id",
        ),
        (
            "--root /r --debug --log /b/log.json --log-format json --rootless=true create --bundle /b --pid-file /b/init.pid --pidfd-socket /p --no-pivot --no-new-keyring id",
            "root=/r log=/b/log.json log-format=json debug=true rootless=true | create | bundle=/b pidfd-socket=/p pid-file=/b/init.pid no-pivot=true no-new-keyring=true | id",
        ),
        ("--root /r --log /l --log-format json start id", "root=/r log=/l log-format=json | start | | id"),
        ("--root /r kill --all id 9", "root=/r | kill | all=true | id 9"),
        ("--root /r kill id 15", "root=/r | kill | | id 15"),
        ("--root /r delete --force id", "root=/r | delete | force=true | id"),
        ("--root /r list --format=json", "root=/r | list | format=json | "),
        ("features", "| features | | "),
        // BuildKit
        (
            "--log /f --log-format json run --bundle /b --no-pivot --keep id",
            "log=/f log-format=json | run | bundle=/b no-pivot=true keep=true | id",
        ),
        ("--log /f --log-format json delete id", "log=/f log-format=json | delete | | id"),
        // conmon
        (
            "--systemd-cgroup --root=/r --log-format=json --log /l --cgroup-manager disabled create --bundle /b --pid-file /p --no-new-keyring --preserve-fds 2 id",
            "root=/r log=/l log-format=json systemd-cgroup=true cgroup-manager=disabled | create | bundle=/b pid-file=/p no-new-keyring=true preserve-fds=2 | id",
        ),
        // conmon-rs repeats the root
        (
            "--root=/r --root=/r --systemd-cgroup create --bundle /b --pid-file=/p id",
            "root=/r systemd-cgroup=true | create | bundle=/b pid-file=/p | id",
        ),
        ("--log=journald:id --log-level=debug start id", "log=journald:id log-level=debug | start | | id"),
        // podman, CRI-O and buildah directly
        ("kill --all id 9", "| kill | all=true | id 9"),
        ("--root /r kill -a id 9", "root=/r | kill | all=true | id 9"),
        ("kill name SIGKILL", "| kill | | name SIGKILL"),
        (
            "create --bundle /b --pid-file /b/pid --no-new-keyring --no-pivot name",
            "| create | bundle=/b pid-file=/b/pid no-pivot=true no-new-keyring=true | name",
        ),
        ("--root /r --systemd-cgroup state id", "root=/r systemd-cgroup=true | state | | id"),
    ];
    for (line, expected) in table {
        assert_eq!(shown(line), expected, "{line}");
    }
}

#[test]
fn the_forms_of_an_option() {
    let table = [
        ("-root /r list", "root=/r | list | | "),
        ("-root=/r list", "root=/r | list | | "),
        ("-r /r list", "root=/r | list | | "),
        ("--r=/r list", "root=/r | list | | "),
        ("--root= list", "root= | list | | "),
        ("--root --log list", "root=--log | list | | "),
        ("--systemd-cgroup=true list", "systemd-cgroup=true | list | | "),
        ("--systemd-cgroup=F list", "systemd-cgroup=false | list | | "),
        ("--systemd-cgroup --systemd-cgroup=0 list", "systemd-cgroup=false | list | | "),
        ("-s list -q", "systemd-cgroup=true | list | quiet=true | "),
        ("list -f json", "| list | format=json | "),
        ("list -f=json", "| list | format=json | "),
        ("run id -d", "| run | detach=true | id"),
        ("run id -detach --bundle=/a=b", "| run | bundle=/a=b detach=true | id"),
        ("run -no-subreaper id", "| run | no-subreaper=true | id"),
        ("run -- -x", "| run | | -x"),
        ("run -d -- -x", "| run | detach=true | -x"),
        ("run --bundle -- id", "| run | bundle=-- | id"),
        ("run --pid-file a --pid-file b id", "| run | pid-file=b | id"),
        ("delete -", "| delete | | -"),
        // Options end at the first operand of kill, as a signal might look like one.
        ("kill id --all", "| kill | | id --all"),
        ("kill id -9", "| kill | | id -9"),
        // What ends options may follow it once, and is a word of the program from then on.
        ("exec -t id -- sh -- -c", "| exec | tty=true | id sh -- -c"),
        ("exec -- id -- sh", "| exec | | id sh"),
        ("ps -f json id", "| ps | format=json | id"),
        ("ps id -o pid,comm -f x", "| ps | | id -o pid,comm -f x"),
        ("restore -no-subreaper -d id", "| restore | detach=true no-subreaper=true | id"),
        ("kill -a id", "| kill | all=true | id"),
        ("-sv list", "systemd-cgroup=true version=true | list | | "),
    ];
    for (line, expected) in table {
        assert_eq!(shown(line), expected, "{line}");
    }
}

#[test]
fn wrong_usage_is_told_in_the_words_that_clients_search() {
    let table = [
        ("create --bundle", "flag needs an argument: --bundle"),
        ("create -b", "flag needs an argument: --bundle"),
        ("--root", "flag needs an argument: --root"),
        ("--nosuch list", "flag provided but not defined: -nosuch"),
        ("-nosuch=1 list", "flag provided but not defined: -nosuch"),
        ("list --root /r", "flag provided but not defined: -root"),
        ("run -dx id", "flag provided but not defined: -dx"),
        // A cluster takes only boolean options: -b has a value.
        ("run -db id", "flag provided but not defined: -db"),
        ("run --detach=maybe id", "invalid boolean value \"maybe\" for -detach: parse error"),
        ("exec --preserve-fds x id true", "invalid value \"x\" for flag -preserve-fds: parse error"),
        ("exec -g 5 -g= id true", "invalid value \"\" for flag -g: parse error"),
        ("update --pids-limit 1.5 id", "invalid value \"1.5\" for flag -pids-limit: parse error"),
        ("run --=x id", "bad flag syntax: --=x"),
        ("run ---d id", "bad flag syntax: ---d"),
        ("state", "exactly 1 argument(s)"),
        ("state a b", "exactly 1 argument(s)"),
        ("list a", "exactly 0 argument(s)"),
        ("kill", "a minimum of 1 argument(s)"),
        ("kill a 9 b", "a maximum of 2 argument(s)"),
        ("frobnicate id", "unknown command"),
        // Engines look for these words to learn what restore can do.
        ("restore --lsm-mount-context", "flag needs an argument: --lsm-mount-context"),
        ("ps", "a minimum of 1 argument(s)"),
        ("pause", "exactly 1 argument(s)"),
        ("resume a b", "exactly 1 argument(s)"),
    ];
    for (line, expected) in table {
        assert_eq!(shown(line), expected, "{line}");
    }
}

#[test]
fn every_option_of_every_command_takes_what_the_table_says() {
    for command in COMMANDS {
        for option in command.options.iter().copied().flatten() {
            let line = |word: String| shown(&format!("{} {word}", command.name));
            match option.kind {
                Kind::Flag => {
                    let text = format!("invalid boolean value \"x\" for -{}: parse error", option.long);
                    assert_eq!(line(format!("--{}=x", option.long)), text, "{}", command.name);
                }
                Kind::Value(_) | Kind::List(_) => {
                    let text = format!("flag needs an argument: --{}", option.long);
                    assert_eq!(line(format!("--{}", option.long)), text, "{}", command.name);
                    assert_eq!(line(format!("-{}", option.long)), text, "{}", command.name);
                }
            }
        }
        let stranger = shown(&format!("{} --no-such-option=1 id", command.name));
        assert_eq!(stranger, "flag provided but not defined: -no-such-option", "{}", command.name);
        if command.arity.min > 0 {
            assert!(shown(command.name).ends_with(" argument(s)"), "{}", command.name);
        }
        if command.arity.max < usize::MAX {
            let many = "x ".repeat(command.arity.max + 1);
            assert!(shown(&format!("{} {many}", command.name)).ends_with(" argument(s)"), "{}", command.name);
        }
    }
}

#[test]
fn a_number_of_operands_is_judged_by_both_bounds() {
    let arity = Arity { min: 1, max: 2 };
    let verdicts: Vec<_> = (0..4).map(|count| check(&arity, count).is_ok()).collect();
    assert_eq!(verdicts, [false, true, true, false]);
}

#[test]
fn booleans_are_those_of_go() {
    for word in ["1", "t", "T", "true", "TRUE", "True"] {
        assert_eq!(boolean(word.as_ref()), Some(true), "{word}");
    }
    for word in ["0", "f", "F", "false", "FALSE", "False"] {
        assert_eq!(boolean(word.as_ref()), Some(false), "{word}");
    }
    for word in ["", "yes", "tRUE", "2"] {
        assert_eq!(boolean(word.as_ref()), None, "{word}");
    }
}

#[test]
fn an_id_that_is_no_text_is_no_id() {
    use std::os::unix::ffi::OsStringExt;
    let args = parse([OsString::from_vec(vec![b'a', 0xff])], &[], false).unwrap();
    assert!(teu::Id::new(args.id()).is_err());
}

#[test]
fn every_command_has_distinct_options_and_letters() {
    for command in COMMANDS {
        let options: Vec<_> = command.options.iter().copied().chain([HELP]).flatten().collect();
        let mut names: Vec<_> = options.iter().map(|option| option.long.to_owned()).collect();
        names.extend(options.iter().flat_map(|option| option.letters.chars()).map(String::from));
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{}", command.name);
    }
}

#[test]
fn help_begins_with_the_name_and_shows_every_option_and_operand() {
    for command in COMMANDS {
        let text = help::command("runc", command);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("NAME:"));
        let expected = format!("   runc {} - {}", command.name, command.about);
        assert_eq!(lines.next(), Some(expected.as_str()));
        assert!(text.contains(command.operands), "{text}");
        for option in command.options.iter().copied().flatten() {
            let value = if let Kind::Value(name) | Kind::List(name) = option.kind {
                format!(" {name}")
            } else {
                String::new()
            };
            assert!(text.contains(&format!("   --{}{value}", option.long)), "{text}");
        }
    }
    let text = help::program("runc");
    assert!(text.starts_with("NAME:\n   runc - "), "{text}");
    assert!(COMMANDS.iter().all(|command| text.contains(&format!("   {} ", command.name))), "{text}");
}

/// Every command line that `cargo xt record` has heard: file, words.
fn recorded() -> Vec<(String, Vec<OsString>)> {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../engines/corpus");
    let files = |dir: &std::path::Path| {
        let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let clients = files(corpus.as_ref()).into_iter().filter(|path| path.is_dir());
    let read = |file: std::path::PathBuf| {
        let calls: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let words = |call: &serde_json::Value| {
            call["words"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().into()).collect()
        };
        calls.iter().map(|call| (file.display().to_string(), words(call))).collect::<Vec<_>>()
    };
    clients.flat_map(|client| files(&client)).flat_map(read).collect()
}

#[test]
fn the_recorded_command_lines_of_engines_are_understood() {
    let all = recorded();
    assert!(all.len() > 200, "{} recordings", all.len());
    let mut heard = std::collections::BTreeSet::new();
    for (file, words) in all {
        let line = words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ");
        if line == "--version" {
            continue;
        }
        let (globals, command, args) =
            parsed(&line).unwrap_or_else(|error| panic!("{file}: {line}: {error}"));
        heard.insert(command.name);
        let given = |from: &Arguments, groups: &[&'static [super::table::Opt]]| {
            let options = groups.iter().flat_map(|group| group.iter());
            let texts: Vec<_> =
                options.filter_map(|option| from.text(option.long)).map(String::from).collect();
            texts
        };
        // A value that looks like an option was taken from the next one.
        for value in given(&globals, &[GLOBAL]).iter().chain(&given(&args, command.options)) {
            assert!(value == "-" || !value.starts_with('-'), "{file}: {line}: {value}");
        }
        let is_container =
            |id: &str| id.starts_with("id") || id.starts_with("teu") || id.starts_with("buildah-");
        assert!(
            command.arity.max == 0 || is_container(&args.id()) || args.flag("help"),
            "{file}: {line}: {}",
            args.id()
        );
    }
    for command in
        ["create", "start", "run", "exec", "kill", "delete", "pause", "resume", "update", "features", "state"]
    {
        assert!(heard.contains(command), "nobody calls {command}");
    }
}
