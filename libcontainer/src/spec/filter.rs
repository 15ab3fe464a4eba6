//! Annotations that speak about the filter of system calls (those of crun). Pure.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxSeccomp, Spec as Config};

use crate::{Error, ErrorKind, Result};

/// The socket of an agent, for a profile that names none.
const RECEIVER: &str = "run.oci.seccomp.receiver";
/// A system call that Linux does not know is an error.
const FAIL_UNKNOWN: &str = "run.oci.seccomp_fail_unknown_syscall";
/// A filter as the kernel takes it, in base64; the profile is ignored.
const FILTER: &str = "run.oci.seccomp_bpf_data";

/// The place of [`FILTER`].
pub const FILTER_SITE: &str = "/annotations/run.oci.seccomp_bpf_data";
const RECEIVER_SITE: &str = "/annotations/run.oci.seccomp.receiver";
const LISTENER_SITE: &str = "/linux/seccomp/listenerPath";

/// BPF_MAXINSNS.
const MAX_INSNS: usize = 4096;
/// `sockaddr_un.sun_path`, with the final NUL.
const MAX_SOCKET_PATH: usize = 108;

fn annotation<'a>(config: &'a Config, key: &str) -> Option<&'a str> {
    config.annotations().as_ref()?.get(key).map(String::as_str).filter(|value| !value.is_empty())
}

pub fn profile(config: &Config) -> Option<&LinuxSeccomp> {
    config.linux().as_ref()?.seccomp().as_ref()
}

/// Gives the receiver of the annotation to a profile without one.
pub fn name_receiver(config: &mut Config) {
    let receiver = annotation(config, RECEIVER).map(PathBuf::from);
    let profile = config.linux_mut().as_mut().and_then(|linux| linux.seccomp_mut().as_mut());
    let Some(profile) = profile else { return };
    if profile.listener_path().as_ref().is_none_or(|path| path.as_os_str().is_empty()) {
        profile.set_listener_path(receiver);
    }
}

/// The agent's socket and its place in config.json.
pub fn listener(config: &Config) -> Option<(&Path, &'static str)> {
    let annotated = annotation(config, RECEIVER).map(Path::new);
    let named = profile(config).and_then(|profile| profile.listener_path().as_deref());
    let named = named.filter(|path| !path.as_os_str().is_empty());
    match (named, annotated) {
        (Some(path), annotated) if Some(path) != annotated => Some((path, LISTENER_SITE)),
        (_, Some(path)) => Some((path, RECEIVER_SITE)),
        (named, None) => named.map(|path| (path, LISTENER_SITE)),
    }
}

/// Checks the agent's socket: its path goes into a structure of the kernel as it is.
pub fn check_listener(config: &Config) -> Result<()> {
    let Some((path, place)) = listener(config) else { return Ok(()) };
    let refused = |why: &str| {
        let message = format!("the socket of the seccomp agent {why}: {}", path.display());
        Err(Error::new(ErrorKind::InvalidSpec, message).at(place))
    };
    match path.as_os_str().len() {
        length if length >= MAX_SOCKET_PATH => refused("has a path of more than 107 bytes"),
        _ if !path.is_absolute() => refused("is not an absolute path"),
        _ => Ok(()),
    }
}

/// Whether an unknown name is an error.
pub fn unknown_fails(config: &Config) -> bool {
    annotation(config, FAIL_UNKNOWN).is_some_and(|value| value != "0")
}

/// The instructions of the annotation.
///
/// # Errors
/// It is not base64 of 1 to 4096 instructions.
pub fn instructions(config: &Config) -> Result<Option<Vec<u64>>> {
    let Some(text) = annotation(config, FILTER) else { return Ok(None) };
    let refused = |why: &str| Error::new(ErrorKind::InvalidSpec, format!("{FILTER} {why}")).at(FILTER_SITE);
    let bytes = decode(text).ok_or_else(|| refused("is not base64"))?;
    if bytes.is_empty() || bytes.len() % 8 != 0 || bytes.len() / 8 > MAX_INSNS {
        return Err(refused("is not 1 to 4096 instructions of eight bytes"));
    }
    let insn = |chunk: &[u8]| chunk.try_into().map_or(0, u64::from_ne_bytes);
    Ok(Some(bytes.chunks_exact(8).map(insn).collect()))
}

/// Base64 of RFC 4648, with or without its padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let padded = digits.len() == text.len() || (text.len() % 4 == 0 && text.len() - digits.len() < 3);
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let value =
            group.iter().try_fold(0u32, |value, digit| Some(value << 6 | u32::from(sextet(*digit)?)))?;
        let missing = 4 - group.len();
        let [_, whole @ ..] = (value << (6 * missing)).to_be_bytes();
        bytes.extend(whole.iter().take(3 - missing));
    }
    (padded && digits.len() % 4 != 1).then_some(bytes)
}

fn sextet(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn base64_is_that_of_the_rfc() {
        // RFC 4648, section 10.
        for (text, plain) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmE=", "fooba")]
        {
            assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()), "{text}");
            assert_eq!(decode(text.trim_end_matches('=')).as_deref(), Some(plain.as_bytes()), "{text}");
        }
        assert_eq!(decode("+/8A"), Some(vec![0xfb, 0xff, 0]));
        for text in ["A", "Zm9vA", "Zg=", "Z===", "Z=g=", "Zm 9", "Zm9-", "=", "====", "ä"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
