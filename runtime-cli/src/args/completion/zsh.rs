//! For zsh: the descriptions of `_arguments`.

use std::fmt::Write;

use super::{Place, operands, options, spellings, value};
use crate::args::table::{COMMANDS, Kind, Opt};

/// The script.
pub fn script(program: &str) -> String {
    let function = program.replace('-', "_");
    let specs =
        |specs: Vec<String>| specs.iter().map(|spec| format!(" \\\n            {spec}")).collect::<String>();
    let globals = specs(options(None).map(|option| option_spec(option, &function)).collect());
    let (mut names, mut cases) = (String::new(), String::new());
    for command in COMMANDS {
        // Writing to a String cannot fail.
        let _ = writeln!(names, "            {}", quoted(&format!("{}:{}", command.name, command.about)));
        let all = options(Some(command)).map(|option| option_spec(option, &function));
        let places = operands(command);
        let positions = places
            .iter()
            .enumerate()
            .map(|(index, place)| quoted(&format!("{}:operand:{}", index + 1, action(place, &function))));
        let all = specs(all.chain(positions).collect());
        let _ = writeln!(cases, "        {})\n            _arguments -S{all}\n            ;;", command.name);
    }
    TEMPLATE
        .replace("@globals@", &globals)
        .replace("@names@\n", &names)
        .replace("@cases@\n", &cases)
        .replace("@program@", program)
        .replace("@function@", &function)
}

/// `'(--bundle -b)'{--bundle,-b}'[help]:DIR:_files -/'`, or with `*` before it for one that may come again.
fn option_spec(option: &Opt, function: &str) -> String {
    let all = spellings(option);
    let value = value(option).map_or(String::new(), |place| format!(":value:{}", action(&place, function)));
    let text = quoted(&format!("[{}]{value}", escaped(option.help)));
    let again = matches!(option.kind, Kind::List(_));
    match (again, all.as_slice()) {
        (true, [one]) => format!("'*'{one}{text}"),
        (true, more) => format!("'*'{{{}}}{text}", more.join(",")),
        (false, [one]) => format!("{one}{text}"),
        (false, more) => format!("'({})'{{{}}}{text}", more.join(" "), more.join(",")),
    }
}

fn action(place: &Place, function: &str) -> String {
    match place {
        Place::Directory => "_files -/".into(),
        Place::File => "_files".into(),
        Place::Container => format!("_{function}_containers"),
        Place::Free => " ".into(),
        Place::Words(words) => format!("({})", words.join(" ")),
    }
}

/// What has a meaning inside of the brackets.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

const TEMPLATE: &str = r#"#compdef @program@
# zsh completion of @program@, written by "@program@ completion zsh"

_@function@_containers() {
    local -a ids root
    [[ -n ${opt_args[--root]} ]] && root=(--root ${opt_args[--root]})
    ids=(${(f)"$(command @program@ $root list -q 2>/dev/null)"})
    compadd -a ids
}

_@function@() {
    local curcontext=$curcontext state line
    local -A opt_args
    local -a commands
    _arguments -C -S@globals@ \
            '1: :->command' \
            '*:: :->operands'
    case $state in
    command)
        commands=(
@names@
        )
        _describe command commands
        ;;
    operands)
        case $words[1] in
@cases@
        esac
        ;;
    esac
}

# Loaded by name, or read by source.
if [[ $funcstack[1] == _@function@ ]]; then _@function@ "$@"; else compdef _@function@ @program@; fi
"#;
