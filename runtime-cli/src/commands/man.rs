//! `man`: a manual page on stdout, or all of them as files.

use std::fs;
use std::path::Path;

use teu::{Error, ErrorKind, Result};

use crate::args::table::COMMANDS;
use crate::args::{Arguments, Command, man};
use crate::invocation::Invocation;
use crate::output;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let program = invocation.program;
    if let Some(directory) = args.path("into") {
        write(directory, &man::file(program, None), &man::program(program))?;
        for command in COMMANDS {
            write(directory, &man::file(program, Some(command)), &man::command(program, command))?;
        }
        return Ok(0);
    }
    let page = match args.operands.first().map(|name| name.to_string_lossy()) {
        None => man::program(program),
        Some(name) => {
            let command = Command::named(&name)
                .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, format!("unknown command {name:?}")))?;
            man::command(program, command)
        }
    };
    output::print(&page)?;
    Ok(0)
}

fn write(directory: &Path, name: &str, page: &str) -> Result<()> {
    let path = directory.join(name);
    fs::write(&path, page).map_err(|error| Error::io(format!("write {}", path.display()), &error))
}
