//! `hooks`. Whether a hook's file exists shows when it runs: another hook may make it.

use oci_spec::runtime::{Hook, Spec as Config};

use super::process::environment;
use super::{Warnings, invalid, limit_entries, limit_path, list, warning};
use crate::Result;

#[allow(deprecated)] // prestart
pub fn hooks(config: &Config, warnings: &mut Warnings) -> Result<()> {
    let Some(hooks) = config.hooks() else { return Ok(()) };
    let lists = [
        ("prestart", hooks.prestart()),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ];
    for (name, hooks) in lists {
        let hooks = list(hooks);
        limit_entries(hooks.len(), format_args!("/hooks/{name}"))?;
        for (index, hook) in hooks.iter().enumerate() {
            check(hook, &format!("/hooks/{name}/{index}"), warnings)?;
        }
    }
    Ok(())
}

fn check(hook: &Hook, pointer: &str, warnings: &mut Warnings) -> Result<()> {
    let path = hook.path();
    let place = format!("{pointer}/path");
    if !path.is_absolute() {
        return Err(invalid(place, format!("hook path {path:?} is not absolute")));
    }
    limit_path(path.as_os_str(), || place)?;
    for (index, word) in list(hook.args()).iter().enumerate() {
        super::process::fits(word, || format!("{pointer}/args/{index}"))?;
    }
    if hook.args().as_ref().is_some_and(Vec::is_empty) {
        let message = "empty args, the path is the only argument";
        warnings.push(warning(format!("{pointer}/args"), message));
    }
    environment(list(hook.env()), &format!("{pointer}/env"))?;
    match hook.timeout() {
        Some(seconds) if seconds <= 0 => {
            let message = format!("timeout {seconds} is not greater than zero");
            Err(invalid(format!("{pointer}/timeout"), message))
        }
        _ => Ok(()),
    }
}
