//! `include/teu.h` is what cbindgen makes of the source. `BLESS=1` writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

/// Modules in the order of the header.
fn generated() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = cbindgen::Config::from_file(here.join("cbindgen.toml")).unwrap();
    let part = |text: &str| text.parse::<u32>().unwrap();
    let number = part(env!("CARGO_PKG_VERSION_MAJOR")) << 16
        | part(env!("CARGO_PKG_VERSION_MINOR")) << 8
        | part(env!("CARGO_PKG_VERSION_PATCH"));
    config.after_includes =
        config.after_includes.map(|text| text.replace("@VERSION@", &format!("0x{number:06x}")));
    let mut header = Vec::new();
    cbindgen::Builder::new().with_crate(here).with_config(config).generate().unwrap().write(&mut header);
    let text = String::from_utf8(header).unwrap();
    compact(&text)
}

/// A comment of one line stands on one line.
fn compact(header: &str) -> String {
    let (mut text, mut lines) = (String::new(), header.lines().peekable());
    while let Some(line) = lines.next() {
        let mut comment = vec![line.to_owned()];
        if line.trim_start() == "/**" {
            comment.extend(lines.by_ref().take_while(|line| line.trim_start() != "*/").map(str::to_owned));
            let indent = &line[..line.len() - "/**".len()];
            let words = |line: &String| line.trim_start().trim_start_matches('*').trim_start().to_owned();
            comment = match &comment[1..] {
                [one] => vec![format!("{indent}/* {} */", words(one))],
                more => more
                    .iter()
                    .enumerate()
                    .map(|(n, line)| {
                        let start = if n == 0 { "/*" } else { " *" };
                        format!("{indent}{start} {}", words(line)).trim_end().to_owned()
                    })
                    .chain([format!("{indent} */")])
                    .collect(),
            };
        }
        comment.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    }
    text
}

#[test]
fn the_committed_header_is_generated_from_the_source() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include/teu.h");
    let header = generated();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &header).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(committed == header, "include/teu.h is stale: BLESS=1 cargo test -p teu-capi --test header");
}

#[test]
fn every_function_of_the_header_has_a_version_and_nothing_else_has() {
    let list = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/symbols.txt")).unwrap();
    let mut listed: Vec<&str> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    let header = generated();
    let mut declared: Vec<&str> = header
        .lines()
        .filter(|line| !line.starts_with(['/', ' ', '*', '#', '}']))
        .filter_map(|line| line.split('(').next()?.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("teu_"))
        .filter(|name| header.contains(&format!("{name}(")))
        .collect();
    listed.sort_unstable();
    declared.sort_unstable();
    assert_eq!(listed, declared, "abi/symbols.txt: a new function gets a line with a new node");
}
