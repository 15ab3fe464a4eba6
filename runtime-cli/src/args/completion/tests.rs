//! The scripts say what the table says, and the shells understand them.

use std::io::Write;
use std::process::{Command as Program, Stdio};

use super::{Place, SHELLS, operands, options, spellings, value};
use crate::args::table::{COMMANDS, Command, Kind};

fn scripts() -> Vec<(&'static str, String)> {
    SHELLS.iter().map(|(shell, script)| (*shell, script("teu"))).collect()
}

#[test]
fn every_command_and_every_option_is_in_every_script() {
    for (shell, script) in scripts() {
        let words: Vec<&str> = script.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).collect();
        let has = |word: &str| words.contains(&word);
        for command in std::iter::once(None).chain(COMMANDS.iter().map(Some)) {
            assert!(command.is_none_or(|command| has(command.name)), "{shell}: no command");
            for option in options(command) {
                let spelled =
                    if shell == "fish" { option.long.to_owned() } else { format!("--{}", option.long) };
                assert!(has(&spelled), "{shell}: no {spelled}");
            }
        }
        assert!(!script.contains("@commands@") && !script.contains("@function@"), "{script}");
    }
}

#[test]
fn another_name_is_another_program() {
    for (shell, script) in SHELLS {
        let text = script("my-runc");
        assert!(text.contains("my-runc completion ") && text.contains("_my_runc"), "{shell}: {text}");
        assert!(!text.contains("command teu") && !text.contains("_teu"), "{shell}: {text}");
    }
}

/// What a shell says to a script on its standard input; `None` if the shell is not installed.
fn said(program: &str, args: &[&str], script: &str) -> Option<(bool, String)> {
    let mut command = Program::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    Some((done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()))
}

#[test]
fn each_shell_that_is_installed_can_read_its_script() {
    for (shell, script) in scripts() {
        let check: &[&str] = if shell == "fish" { &["--no-execute"] } else { &["-n"] };
        match said(shell, check, &script) {
            Some(verdict) => assert_eq!(verdict, (true, String::new()), "{shell}"),
            None => eprintln!("skipped: {shell} is not installed"),
        }
    }
}

/// What bash offers for a command line that ends at the cursor.
fn offered(line: &[&str]) -> Option<Vec<String>> {
    let words: Vec<_> = line.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "{}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_teu\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        super::bash::script("teu"),
        words.join(" "),
        line.len() - 1
    );
    let (_, text) = said("bash", &["--norc"], &script)?;
    Some(text.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn bash_offers_what_fits_at_the_cursor() {
    let table: [(&[&str], &[&str]); 9] = [
        (&["teu", "cr"], &["create"]),
        (&["teu", "--roo"], &["--root", "--rootless"]),
        (&["teu", "--log-format", ""], &["text", "json"]),
        (&["teu", "--log-format", "=", "j"], &["json"]),
        (&["teu", "--root", "/r", "pau"], &["pause"]),
        (&["teu", "--debug", "run", "--no-"], &["--no-pivot", "--no-new-keyring", "--no-subreaper"]),
        (&["teu", "list", "-f", "t"], &["table"]),
        (&["teu", "kill", "id", "K"], &["KILL"]),
        (&["teu", "completion", ""], &["bash", "zsh", "fish"]),
    ];
    for (line, expected) in table {
        match offered(line) {
            Some(words) => assert_eq!(words, expected, "{line:?}"),
            None => eprintln!("skipped: bash is not installed"),
        }
    }
}

#[test]
fn fish_offers_what_fits_at_the_cursor() {
    let table: [(&str, &[&str]); 4] = [
        ("teu cr", &["create"]),
        ("teu --log-format j", &["json"]),
        ("teu list --form", &["--format"]),
        ("teu completion fi", &["fish"]),
    ];
    for (line, expected) in table {
        let script = format!("{}\ncomplete -C '{line}'\n", super::fish::script("teu"));
        match said("fish", &["--no-config"], &script) {
            Some((_, text)) => {
                let words: Vec<_> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
                assert_eq!(words, expected, "{line:?}");
            }
            None => eprintln!("skipped: fish is not installed"),
        }
    }
}

#[test]
fn places_come_from_the_names_of_values_and_operands() {
    let kill = Command::named("kill").unwrap();
    assert_eq!(operands(kill)[0], Place::Container);
    assert!(matches!(&operands(kill)[1], Place::Words(words) if words.contains(&"KILL")));
    assert_eq!(operands(Command::named("create").unwrap()), [Place::Free]);
    let list = options(Command::named("list")).find(|option| option.long == "format").unwrap();
    assert_eq!(value(list), Some(Place::Words(vec!["table", "json"])));
    assert_eq!(spellings(list), ["--format", "-f"]);
    for option in COMMANDS.iter().flat_map(|command| options(Some(command))) {
        assert_eq!(value(option).is_none(), option.kind == Kind::Flag, "{}", option.long);
    }
}
