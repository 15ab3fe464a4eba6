//! Every item of `include/teu.h` says what its caller has to know: errors, units, what NULL means, who gives it back, which thread.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

/// A function, a member, a value, or the head of a struct or an enum; and the comment before it.
#[derive(Debug, Default)]
struct Item {
    /// The name of the struct or enum around it; empty for what stands alone.
    inside: String,
    code: String,
    comment: String,
}

impl Item {
    fn name(&self) -> &str {
        let (head, tail) = self.code.split_once(['(', '=', ';', '{']).unwrap_or((&self.code, ""));
        // A pointer to a function is named within.
        let head =
            if head.trim_end() == "typedef void" { tail.split(')').next().unwrap_or(tail) } else { head };
        head.trim().rsplit([' ', '*']).next().unwrap_or_default()
    }

    fn is_function(&self) -> bool {
        self.inside.is_empty() && self.code.contains('(') && !self.code.starts_with("typedef")
    }

    fn is_member(&self) -> bool {
        self.inside.starts_with("struct ")
    }

    fn takes(&self, parameter: &str) -> bool {
        self.code.contains(parameter)
    }

    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.comment.contains(word))
    }
}

/// A rule: whom it is for, and one of which words it wants.
type Rule = (&'static str, fn(&Item) -> bool, &'static [&'static str]);

const RULES: &[Rule] = &[
    ("which thread may call it", Item::is_function, &["Threads: any"]),
    ("its errors", |item| item.takes("teu_error_t **err"), &["Errors: TEU_EINVAL", "Errors: those of `teu_"]),
    (
        "what is freed by whom",
        |item| {
            item.is_function()
                && (item.takes("char **") || item.takes("pid_t **"))
                && !item.takes("const char **")
        },
        &["reed by `teu_free`"],
    ),
    ("what is freed by whom", |item| item.code.starts_with("char *"), &["Freed by `teu_free`"]),
    (
        "how long the text lives",
        |item| item.is_function() && item.code.starts_with("const char *"),
        &["Borrowed", "Static"],
    ),
    ("how long the text lives", |item| item.takes("const char **"), &["borrowed until"]),
    (
        "whose the descriptor is",
        |item| {
            item.is_function()
                && ["_pidfd", "_take_console", "_take_seccomp_notify", "_bind_notify_socket"]
                    .iter()
                    .any(|end| item.name().ends_with(end))
        },
        &["the caller's, close-on-exec", "as `teu_container_take"],
    ),
    ("whose the descriptor is", |item| item.is_function() && item.name().ends_with("_fd"), &["Borrowed"]),
    (
        "what NULL does",
        |item| {
            item.is_function() && ["_free", "_unref", "_trigger"].iter().any(|end| item.name().ends_with(end))
        },
        &["NULL is ignored"],
    ),
    (
        "what no handle gives",
        |item| {
            item.is_function()
                && !item.takes("teu_error_t **err")
                && !item.code.starts_with("void")
                && item.takes("_t *")
                && !item.name().ends_with("_ref")
        },
        &["is none", "is no error", "or NULL", "or 0.", "NULL beyond"],
    ),
    ("what NULL does", |item| item.is_function() && item.name().ends_with("_ref"), &["or NULL if"]),
    (
        "that the length may be left out",
        |item| item.is_function() && item.takes("size_t *len"),
        &["`len` may be NULL"],
    ),
    (
        "what NULL is",
        |item| item.is_member() && item.takes("*") && !item.inside.ends_with("log_record"),
        &["NULL"],
    ),
    ("what NULL is", |item| item.is_member() && item.name() == "log_fn", &["NULL"]),
    ("its unit", |item| item.is_member() && item.name().ends_with("_ns"), &["anoseconds"]),
    ("its unit", |item| item.is_member() && item.name().ends_with("_us"), &["icroseconds"]),
    (
        "its unit",
        |item| {
            item.is_member()
                && ["memory_", "swap_", "io_read_b", "io_write_b"]
                    .iter()
                    .any(|start| item.name().starts_with(start))
                && !item.name().ends_with("_us")
        },
        &["ytes", "How often"],
    ),
    (
        "its size",
        |item| item.is_member() && item.name() == "size",
        &["`sizeof(struct ", "The size of the struct"],
    ),
    ("whose flags it takes", |item| item.is_member() && item.name() == "flags", &["`enum teu_", "0."]),
    (
        "the flag that makes it count",
        |item| item.is_member() && item.name().ends_with("_fd") && !item.inside.ends_with("fd_map"),
        &["With TEU_"],
    ),
    ("whose descriptor it is", |item| item.is_member() && item.name() == "fd", &["the caller's"]),
];

/// Everything that is declared, with its comment.
fn items(header: &str) -> Vec<Item> {
    let (mut items, mut comment, mut code, mut inside) =
        (Vec::new(), String::new(), String::new(), String::new());
    let mut in_comment = false;
    for line in header.lines() {
        let text = line.trim();
        if in_comment || (text.starts_with("/*") && code.is_empty()) {
            comment = if in_comment { comment + " " } else { String::new() };
            comment.push_str(text.trim_start_matches(['/', '*', ' ']).trim_end_matches(['/', '*', ' ']));
            in_comment = !text.ends_with("*/");
        } else if text.is_empty()
            || text.starts_with('#')
            || text.starts_with("extern")
            || text.starts_with('}')
        {
            inside = if text.starts_with("};") { String::new() } else { inside };
        } else {
            code.push_str(text);
            code.push(' ');
            // What is behind the code on its line is about it.
            if let Some((before, behind)) = code.clone().split_once("/*") {
                (code, comment) = (before.to_owned(), behind.to_owned());
            }
            let item = |inside: &str, code: &str| Item {
                inside: inside.into(),
                code: code.trim().into(),
                comment: comment.clone(),
            };
            match code.trim_end().chars().last() {
                Some('{') => {
                    items.push(item("", &code));
                    inside = code.trim_end_matches(['{', ' ']).to_owned();
                }
                Some(';' | ',') if code.contains(';') || !code.contains('(') => {
                    items.push(item(&inside, &code))
                }
                _ => continue,
            }
            (code, comment) = (String::new(), String::new());
        }
    }
    items
}

fn header() -> Vec<Item> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include/teu.h");
    items(&fs::read_to_string(path).unwrap())
}

/// What is wrong with an item, in words.
fn faults(item: &Item, codes: &[&str]) -> Vec<String> {
    let place = format!("{} {}", item.inside, item.name());
    let missing = RULES.iter().filter(|(_, whom, words)| whom(item) && !item.says(words));
    let mut faults: Vec<_> =
        missing.map(|(what, ..)| format!("{place}: does not say {what}: {}", item.comment)).collect();
    if item.comment.is_empty() {
        faults.push(format!("{place}: has no words"));
    }
    let named = item.comment.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
    let unknown = named.filter(|word| word.starts_with("TEU_E") && !codes.contains(word));
    faults.extend(unknown.map(|word| format!("{place}: {word} is not declared")));
    faults
}

#[test]
fn every_item_of_the_header_has_its_words() {
    let items = header();
    let codes: Vec<&str> =
        items.iter().filter(|item| item.inside.starts_with("enum ")).map(Item::name).collect();
    let faults: Vec<String> = items.iter().flat_map(|item| faults(item, &codes)).collect();
    let counted = |what: fn(&Item) -> bool| items.iter().filter(|item| what(item)).count();
    let list = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/symbols.txt")).unwrap();
    assert_eq!(counted(Item::is_function), list.lines().count(), "the header is read to its end");
    assert!(
        counted(Item::is_member) > 100 && codes.len() > 60,
        "{} members, {} values",
        counted(Item::is_member),
        codes.len()
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The functions that a host would look for in the manual are there.
#[test]
fn the_manual_page_names_every_function() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("teu.3")).unwrap();
    let words: Vec<&str> = page.split([' ', '\n', ',', '"', ':', ';', '(']).collect();
    let prefixes =
        ["teu", "teu_container", "teu_process", "teu_error", "teu_list", "teu_events", "teu_cancel"];
    let named = |name: &str| {
        words.contains(&name)
            || prefixes.iter().any(|prefix| {
                words.iter().any(|word| word.starts_with('_') && format!("{prefix}{word}") == name)
            })
    };
    let missing: Vec<String> = header()
        .iter()
        .filter(|item| item.is_function())
        .map(|item| item.name().to_owned())
        .filter(|name| !named(name))
        .collect();
    assert!(missing.is_empty(), "teu.3 lacks {}", missing.join(", "));
}

/// Whoever adds a function or a struct gives it bad input: handles that are none, sizes that are wrong.
#[test]
fn every_function_and_every_struct_is_given_bad_input() {
    let program =
        |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name));
    let (misuse, bad) = (program("misuse.c").unwrap(), program("bad.c").unwrap());
    let items = header();
    // These take no handle, or give what never fails.
    let harmless = ["teu_version", "teu_version_number", "teu_strerror"];
    let functions = items.iter().filter(|item| item.is_function()).map(Item::name);
    let untried: Vec<&str> = functions
        .filter(|name| !harmless.contains(name) && !misuse.contains(&format!("{name}(")))
        .chain(items.iter().filter(|item| item.code == "size_t size;").filter_map(|item| {
            let name = item.inside.strip_prefix("struct ")?;
            (!bad.contains(&format!("{{\"{name}\", sizeof(struct {name})"))).then_some(name)
        }))
        // Not the caller's.
        .filter(|name| *name != "teu_log_record")
        .collect();
    assert!(untried.is_empty(), "without bad input: {}", untried.join(", "));
}

#[test]
fn an_item_without_its_words_is_found() {
    let text = "/* What it is. */\nstruct teu_x {\n    /* Time. */\n    uint64_t a_ns;\n    uint32_t b;\n    /* A path. */\n    const char *c;\n};\n\
        /* Does it.\n *\n * Errors: TEU_EWRONG.\n */\nint teu_f(teu_t *teu,\n          teu_error_t **err);\n";
    let items = items(text);
    let found: Vec<Vec<String>> = items.iter().map(|item| faults(item, &[])).collect();
    let count: Vec<usize> = found.iter().map(Vec::len).collect();
    assert_eq!(count, [0, 1, 1, 1, 3], "{found:#?}");
}
