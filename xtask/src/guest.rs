//! `cargo xt guest`: a Debian machine under qemu, with systemd as its PID 1 and nothing but cgroup v2, for one command or for a lane of tests.

mod image;
mod lanes;
mod machine;

use crate::Failure;
use crate::artifact::{self, CONFORMANCE, TEU};
use crate::project::Project;
use image::{IMAGES, Image, TRIXIE};
use machine::{Cgroups, End, Job};
use std::path::PathBuf;

pub use lanes::{guest, guest_old, guest_selinux};

/// The longest that a command may take which sets no limit of its own.
const DEFAULT_SECONDS: u32 = 600;

struct Options {
    image: &'static Image,
    cgroups: Cgroups,
    build: bool,
    user: Option<String>,
    seconds: u32,
    files: Vec<PathBuf>,
    command: Vec<String>,
}

/// The command of the task runner. Its exit status is that of the command in the guest.
pub fn run(project: &Project, args: &[String]) -> Result<(), Failure> {
    let options = parse(args)?;
    if options.build {
        return Ok(options.image.build(project)?);
    }
    let files = match options.files.is_empty() {
        true => artifact::build(project, &[TEU, CONFORMANCE])?,
        false => options.files,
    };
    let script = script(options.user.as_deref(), &options.command);
    let job = Job { image: options.image, cgroups: options.cgroups, script, files, seconds: options.seconds };
    match job.run(project, |line| println!("{line}"))? {
        End::Status(0) => Ok(()),
        End::Status(status) => Err(Failure::Status(status)),
        End::Lost(reason) => Err(Failure::Because(reason)),
    }
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        image: &TRIXIE,
        cgroups: Cgroups::V2,
        build: false,
        user: None,
        seconds: DEFAULT_SECONDS,
        files: Vec::new(),
        command: Vec::new(),
    };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().cloned().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--v1" => options.cgroups = Cgroups::Hybrid,
            "--build" => options.build = true,
            "--user" => options.user = Some(value()?),
            "--kernel" => options.image = image(&value()?)?,
            "--seconds" => options.seconds = value()?.parse().map_err(|_| "--seconds: not a number")?,
            "--share" => options.files.push(value()?.into()),
            "--" => options.command = rest.by_ref().cloned().collect(),
            other => Err(format!("guest does not know \"{other}\"; what the guest runs comes after --"))?,
        }
    }
    if options.command.is_empty() {
        options.command = ["uname", "-a"].map(str::to_owned).to_vec();
    }
    Ok(options)
}

fn image(name: &str) -> Result<&'static Image, String> {
    let names = || IMAGES.map(|image| image.name).join(", ");
    IMAGES
        .into_iter()
        .find(|image| image.name == name)
        .ok_or_else(|| format!("--kernel {name}: not one of {}", names()))
}

/// The script of a command: as root, or in a session of the user with a cgroup that is delegated to it.
fn script(user: Option<&str>, command: &[String]) -> String {
    let words = command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let Some(user) = user else { return format!("cd /\nexec {words}\n") };
    let session =
        "export XDG_RUNTIME_DIR=/run/user/$(id -u) DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$(id -u)/bus";
    let scope = "exec systemd-run --user --scope --quiet --property=Delegate=yes --";
    let inner = format!("cd; {session}; {scope} {words}");
    format!("cd /\nexec su - {} -c {}\n", quoted(user), quoted(&inner))
}

/// A word as the shell reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let options =
            parse(&words("--kernel bullseye --v1 --user rootless --seconds 9 -- ls --user x")).unwrap();
        assert_eq!((options.image.name, options.seconds, options.build), ("bullseye", 9, false));
        assert_eq!(options.cgroups, Cgroups::Hybrid);
        assert_eq!(options.user.as_deref(), Some("rootless"));
        assert_eq!(options.command, words("ls --user x"));
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for bad in ["--kernel buster", "ls", "--user", "--seconds x"] {
            assert!(parse(&words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_word_reaches_the_guest_as_it_is() {
        assert_eq!(script(None, &words("echo it's $HOME")), "cd /\nexec 'echo' 'it'\\''s' '$HOME'\n");
        let script = script(Some("rootless"), &words("id"));
        assert!(script.starts_with("cd /\nexec su - 'rootless' -c 'cd; "), "{script}");
    }
}
