//! For bash: one function that walks over the words before the cursor, and two that hold the table.

use std::fmt::Write;

use super::{Place, operands, options, spellings, value};
use crate::args::table::{COMMANDS, Command};

/// The script.
pub fn script(program: &str) -> String {
    let commands: Vec<_> = std::iter::once(None).chain(COMMANDS.iter().map(Some)).collect();
    let name = |command: &Option<&Command>| command.map_or("", |command| command.name);
    let (mut options_of, mut values_of, mut operands_of) = (String::new(), String::new(), String::new());
    for command in &commands {
        let all: Vec<_> = options(*command).flat_map(spellings).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(options_of, "    '{}') echo '{}' ;;", name(command), all.join(" "));
        for (option, place) in options(*command).filter_map(|option| Some((option, value(option)?))) {
            let cases: Vec<_> =
                spellings(option).iter().map(|spelling| format!("'{} {spelling}'", name(command))).collect();
            let _ = writeln!(values_of, "    {}) echo '{}' ;;", cases.join(" | "), word(&place));
        }
    }
    for command in COMMANDS {
        for (index, place) in operands(command).iter().enumerate() {
            let _ = writeln!(operands_of, "    '{} {index}') echo '{}' ;;", command.name, word(place));
        }
    }
    let names: Vec<_> = COMMANDS.iter().map(|command| command.name).collect();
    TEMPLATE
        .replace("@commands@", &names.join(" "))
        .replace("@options@\n", &options_of)
        .replace("@values@\n", &values_of)
        .replace("@operands@\n", &operands_of)
        .replace("@program@", program)
        .replace("@function@", &program.replace('-', "_"))
}

fn word(place: &Place) -> String {
    match place {
        Place::Directory => "@directory".into(),
        Place::File => "@file".into(),
        Place::Container => "@container".into(),
        Place::Free => "@free".into(),
        Place::Words(words) => words.join(" "),
    }
}

const TEMPLATE: &str = r#"# bash completion of @program@, written by "@program@ completion bash"

_@function@_options() {
    case $1 in
@options@
    esac
}

# What follows an option of a command, if anything does.
_@function@_value() {
    case "$1 $2" in
@values@
    *) return 1 ;;
    esac
}

_@function@_operand() {
    case "$1 $2" in
@operands@
    *) echo @free ;;
    esac
}

_@function@() {
    local cur=${COMP_WORDS[COMP_CWORD]} command= root= place= word value= count=0 i=1
    [[ $cur == = ]] && cur=
    COMPREPLY=()
    while ((i < COMP_CWORD)); do
        word=${COMP_WORDS[i]}
        case $word in
        -*)
            if value=$(_@function@_value "$command" "$word"); then
                [[ ${COMP_WORDS[i + 1]} == = ]] && ((i < COMP_CWORD - 1)) && ((i++))
                ((++i == COMP_CWORD)) && place=$value
                [[ -z $command && ($word == --root || $word == -r) ]] && root=${COMP_WORDS[i]}
            fi
            ;;
        *)
            if [[ -z $command ]]; then command=$word; else ((count++)); fi
            ;;
        esac
        ((i++))
    done
    if [[ -z $place ]]; then
        if [[ $cur == -* ]]; then
            place=$(_@function@_options "$command")
        elif [[ -z $command ]]; then
            place='@commands@'
        else
            place=$(_@function@_operand "$command" "$count")
        fi
    fi
    case $place in
    @directory) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    @file) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    @container)
        mapfile -t COMPREPLY < <(compgen -W "$(command @program@ ${root:+--root "$root"} list -q 2>/dev/null)" -- "$cur")
        ;;
    @free) ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$place" -- "$cur") ;;
    esac
}

complete -o filenames -F _@function@ @program@
"#;
