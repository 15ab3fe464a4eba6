//! `cargo xt syscalls`: system call names and numbers, from the kernel's own headers to `seccomp/syscalls.rs`.
//!
//! The headers are those of Debian's linux-libc-dev, which carries every architecture's in one package. They are kept below
//! `target/uapi`; without an argument the newest of Debian's unstable suite is fetched there first. Numbers are facts of the
//! kernel's interface: nothing else of the headers is kept.

#[path = "../../libcontainer/src/seccomp/names.rs"]
mod names;

use crate::Failure;
use crate::project::Project;
use crate::step::Step;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const TABLE: &str = "libcontainer/src/seccomp/syscalls.rs";
const UAPI: &str = "usr/lib/linux/uapi";
const SUITE: &str = "sid";
const MIRROR: &str = "http://deb.debian.org/debian";

/// One column of the table: its header below `usr/lib/linux/uapi` and what the kernel adds to the numbers in it.
struct Column {
    name: &'static str,
    headers: &'static [&'static str],
    base: u32,
}

const fn column(name: &'static str, headers: &'static [&'static str], base: u32) -> Column {
    Column { name, headers, base }
}

// table: architecture, headers, the first number of its ABI. x32's numbers lack the bit that marks them.
const COLUMNS: &[Column] = &[
    column("x86_64", &["x86/asm/unistd_64.h"], 0),
    column("x86", &["x86/asm/unistd_32.h"], 0),
    column("x32", &["x86/asm/unistd_x32.h"], 0),
    column("aarch64", &["arm64/asm/unistd_64.h"], 0),
    column("arm", &["arm/asm/unistd-eabi.h", "arm/asm/unistd.h"], 0),
    column("riscv64", &["riscv/asm/unistd_64.h"], 0),
    column("loongarch64", &["loongarch/asm/unistd_64.h"], 0),
    column("ppc64le", &["powerpc/asm/unistd_64.h"], 0),
    column("mipsel", &["mips/asm/unistd_o32.h"], 4000),
    column("mipsel64", &["mips/asm/unistd_n64.h"], 5000),
    column("mipsel64n32", &["mips/asm/unistd_n32.h"], 6000),
    column("sh", &["sh/asm/unistd_32.h"], 0),
];

/// Their names are known, so that no one takes them for a slip; their numbers are not needed.
const NAMES_ONLY: &[&str] =
    &["s390/asm/unistd_64.h", "powerpc/asm/unistd_32.h", "m68k/asm/unistd_32.h", "parisc/asm/unistd_32.h"];

/// The one call with a second name: `#define __NR_sync_file_range2 __NR_arm_sync_file_range`.
const ALIAS: (&str, &str) = ("arm_sync_file_range", "sync_file_range2");

/// The private calls of 32-bit ARM start here.
const ARM_PRIVATE: u32 = 0x000f_0000;

/// In the table they start here: its numbers have 16 bits.
const PRIVATE: u32 = 0xf000;

type Rows = BTreeMap<String, Vec<Option<u32>>>;

/// The command.
pub fn run(project: &Project, args: &[String]) -> Result<(), Failure> {
    let root = match args {
        [] => fetch(project)?,
        [root] => PathBuf::from(root),
        _ => {
            Err("syscalls takes one argument at most: a folder where linux-libc-dev is unpacked".to_owned())?
        }
    };
    let text = generate(&root)?;
    let path = project.root.join(TABLE);
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("wrote {TABLE}");
    Ok(())
}

/// Where headers are kept.
fn kept(project: &Project) -> PathBuf {
    project.root.join("target/uapi")
}

/// Downloads and unpacks the newest headers; apt's own state stays as it is.
fn fetch(project: &Project) -> Result<PathBuf, String> {
    let folder = kept(project);
    let (apt, root) = (folder.join("apt"), folder.join("root"));
    for dir in ["etc/sources.list.d", "etc/preferences.d", "lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt.join(dir)).map_err(|error| format!("{}: {error}", apt.display()))?;
    }
    let mirror = std::env::var("TEU_DEBIAN_MIRROR").unwrap_or_else(|_| MIRROR.to_owned());
    let source =
        format!("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {SUITE} main\n");
    fs::write(apt.join("etc/sources.list"), source).map_err(|error| format!("sources.list: {error}"))?;
    let dir = |name: &str| apt.join(name).display().to_string();
    let options = [
        format!("Dir::Etc={}", dir("etc")),
        format!("Dir::State::lists={}", dir("lists")),
        format!("Dir::Cache={}", dir("cache")),
        "APT::Sandbox::User=root".to_owned(),
    ];
    let apt_get = |why: &str, words: &[&str]| {
        let options = options.iter().flat_map(|option| ["-o", option]);
        Step::new(why, "apt-get").args(options).args(words).limit_seconds(600).run(&apt)
    };
    apt_get("read Debian's package lists into target/uapi", &["update", "-q"])?;
    apt_get("download the kernel's headers for every architecture", &["download", "-q", "linux-libc-dev"])?;
    let package = newest_package(&apt)?;
    Step::new("unpack them", "dpkg-deb").arg("-x").arg(&package).arg(&root).run(&apt)?;
    Ok(root)
}

fn newest_package(folder: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let packages = entries.flatten().map(|entry| entry.path());
    let packages = packages.filter(|path| path.extension().is_some_and(|extension| extension == "deb"));
    packages
        .max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok())
        .ok_or_else(|| format!("{}: no package was downloaded", folder.display()))
}

/// The text of the table for the headers below `root`.
fn generate(root: &Path) -> Result<String, String> {
    let uapi = root.join(UAPI);
    let read = |header: &str| {
        let path = uapi.join(header);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut rows = Rows::new();
    for (index, column) in COLUMNS.iter().enumerate() {
        for header in column.headers {
            for (name, number) in calls(&read(header)?) {
                let number = Some(column.base + number);
                row(&mut rows, name)[index] = number;
                if name == ALIAS.0 {
                    row(&mut rows, ALIAS.1)[index] = number;
                }
            }
        }
    }
    for header in NAMES_ONLY {
        for (name, _) in calls(&read(header)?) {
            row(&mut rows, name);
        }
    }
    Ok(text(&rows, &version(&uapi)?))
}

fn row<'a>(rows: &'a mut Rows, name: &str) -> &'a mut Vec<Option<u32>> {
    rows.entry(name.to_owned()).or_insert_with(|| vec![None; COLUMNS.len()])
}

/// The kernel of the headers.
fn version(uapi: &Path) -> Result<String, String> {
    let path = uapi.join("../../../include/linux/version.h");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let field = |name: &str| {
        let mut words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.find_map(|words| match words.as_slice() {
            ["#define", found, value] if *found == name => Some((*value).to_owned()),
            _ => None,
        })
    };
    let field = |name: &str| field(name).ok_or_else(|| format!("{}: no {name}", path.display()));
    let [major, minor] = ["LINUX_VERSION_MAJOR", "LINUX_VERSION_PATCHLEVEL"].map(field);
    Ok(format!("{}.{}", major?, minor?))
}

/// The `#define __NR_name number` lines of a header. A number is plain, `(BASE + number)`, or `(__ARM_NR_BASE+number)`.
fn calls(header: &str) -> Vec<(&str, u32)> {
    header.lines().filter_map(call).collect()
}

fn call(line: &str) -> Option<(&str, u32)> {
    let mut words = line.strip_prefix("#define __")?.splitn(2, char::is_whitespace);
    let (word, value) = (words.next()?, words.next()?.trim());
    let (name, first) = match word.strip_prefix("ARM_NR_") {
        Some(name) => (name, ARM_PRIVATE),
        None => (word.strip_prefix("NR_")?, 0),
    };
    let digits = value.trim_matches(['(', ')']).rsplit('+').next()?.trim();
    let is_call = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') && name != "syscalls";
    let number = digits.parse::<u32>().ok().filter(|_| is_call)?;
    Some((name, first + number))
}

fn text(rows: &Rows, kernel: &str) -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    let mut text = format!(
        "//! table: system calls and their numbers, by architecture, in Linux {kernel}.\n\
         //! Written by `cargo xt syscalls` from the kernel's headers; not edited by hand.\n\n\
         /// No such call on this architecture.\npub const NONE: u16 = u16::MAX;\nconst N: u16 = NONE;\n\n\
         /// ARM's private calls stand from here on, in the order of their numbers.\npub const PRIVATE: u16 = {PRIVATE};\n\n\
         /// Sorted by name. The columns: {}.\npub static CALLS: [(&str, [u16; {}]); {}] = [\n",
        names.join(", "),
        names.len(),
        rows.len()
    );
    for (name, numbers) in rows {
        let short = |number: u32| number.checked_sub(ARM_PRIVATE).map_or(number, |private| PRIVATE + private);
        let number = |number: &Option<u32>| number.map_or("N".to_owned(), |number| short(number).to_string());
        let numbers: Vec<String> = numbers.iter().map(number).collect();
        let _ = writeln!(text, "    (\"{name}\", [{}]),", numbers.join(", "));
    }
    text.push_str("];\n\n/// The row of a name, by its hash: see names.rs.\n");
    let _ = writeln!(text, "pub static INDEX: [u16; {}] = [", names::PLACES);
    for line in index(rows.keys()).chunks(16) {
        let rows: Vec<String> = line.iter().map(u16::to_string).collect();
        let _ = writeln!(text, "    {},", rows.join(", "));
    }
    text + "];\n"
}

/// Each name in the first of its places that is vacant.
fn index<'a>(sorted: impl Iterator<Item = &'a String>) -> Vec<u16> {
    let mut index = vec![names::VACANT; names::PLACES];
    for (row, name) in (0..).zip(sorted) {
        if let Some(place) = names::places(name).find(|place| index[*place] == names::VACANT) {
            index[place] = row;
        }
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_plain_or_with_a_base() {
        let header = "#define __NR_read 0\n#define __NR_write (__X32_SYSCALL_BIT + 1)\n\
            #define __ARM_NR_set_tls\t\t(__ARM_NR_BASE+5)\n#define __NR_Linux 4000\n\
            #define __NR_sync_file_range2\t\t__NR_arm_sync_file_range\n#define __NR__llseek 140\n";
        assert_eq!(calls(header), [("read", 0), ("write", 1), ("set_tls", 0xf0005), ("_llseek", 140)]);
    }

    /// What is committed is what the generator makes of the same headers.
    #[test]
    fn the_table_is_what_the_headers_say() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = project.join("target/uapi/root");
        let committed = fs::read_to_string(project.join(TABLE)).unwrap();
        let Ok(kernel) = version(&root.join(UAPI)) else {
            return println!("SKIP: no headers in target/uapi; `cargo xt syscalls` fetches them");
        };
        if !committed.contains(&format!("in Linux {kernel}.")) {
            return println!(
                "SKIP: target/uapi holds the headers of Linux {kernel}, the table is of another"
            );
        }
        assert_eq!(generate(&root).unwrap(), committed);
    }
}
