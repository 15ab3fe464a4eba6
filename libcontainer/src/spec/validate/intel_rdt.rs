//! `linux.intelRdt`: names of groups and lines of schemata.

use oci_spec::runtime::{LinuxIntelRdt, Spec as Config};

use super::{Warnings, invalid, limit_entries, list};
use crate::Result;

const PLACE: &str = "/linux/intelRdt";
/// NAME_MAX.
const MAX_NAME: usize = 255;
/// The kernel takes at most a page.
const MAX_SCHEMATA: usize = 4095;
/// What the kernel keeps beside the groups of the root.
const RESERVED: [&str; 3] = ["info", "mon_data", "mon_groups"];

pub fn intel_rdt(config: &Config, _: &mut Warnings) -> Result<()> {
    let Some(rdt) = config.linux().as_ref().and_then(|linux| linux.intel_rdt().as_ref()) else {
        return Ok(());
    };
    rdt.clos_id().as_deref().map_or(Ok(()), clos_id)?;
    schemata(rdt)
}

/// A name of a directory, or `/` alone for the root group.
fn clos_id(id: &str) -> Result<()> {
    let plain = !id.contains('/') && ![".", ".."].contains(&id) && id.len() <= MAX_NAME;
    let ours = !RESERVED.contains(&id) && !id.contains(char::is_control);
    if id == "/" || plain && ours {
        return Ok(());
    }
    let shown: String = id.chars().take(MAX_NAME).collect();
    Err(invalid(format!("{PLACE}/closID"), format!("invalid intelRdt.ClosID {shown:?}")))
}

fn schemata(rdt: &LinuxIntelRdt) -> Result<()> {
    for (index, text) in rdt.l3_cache_schema().iter().flat_map(|text| text.lines()).enumerate() {
        line(text).map_err(|why| invalid(format!("{PLACE}/l3CacheSchema"), format!("line {index} {why}")))?;
    }
    if let Some(text) = rdt.mem_bw_schema() {
        let at = |why: &str| Err(invalid(format!("{PLACE}/memBwSchema"), why.to_owned()));
        if !text.starts_with("MB:") {
            return at("memBwSchema does not begin with MB:");
        }
        line(text).or_else(|why| at(&format!("memBwSchema {why}")))?;
    }
    let lines = list(rdt.schemata());
    limit_entries(lines.len(), format_args!("{PLACE}/schemata"))?;
    for (index, text) in lines.iter().enumerate() {
        line(text).map_err(|why| invalid(format!("{PLACE}/schemata/{index}"), format!("the line {why}")))?;
    }
    Ok(())
}

/// `NAME:DOMAIN=VALUE;...` on one line. What the resources are called and may be given is the kernel's.
fn line(text: &str) -> std::result::Result<(), &'static str> {
    match text.split_once(':') {
        _ if text.contains(char::is_control) => Err("has a newline or control character in it"),
        _ if text.len() > MAX_SCHEMATA => Err("is longer than 4095 bytes"),
        Some((name, rest)) if !name.trim().is_empty() && rest.contains('=') => Ok(()),
        _ => Err("is not of the form NAME:DOMAIN=VALUE"),
    }
}
