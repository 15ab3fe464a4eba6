//! The table of mount options (runtime-spec "Linux mount options"): what each word sets or clears.
//!
//! Options act in order and the last one wins. Words that are not in the table go to the filesystem as data.

use teu_init::abi;

/// What a word does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Nothing.
    None,
    /// Sets a MOUNT_ATTR_* bit of the mount.
    Set(u64),
    /// Clears one.
    Clear(u64),
    /// The same for the mount and everything below it, since Linux 5.12.
    SetAll(u64),
    /// The same for the mount and everything below it.
    ClearAll(u64),
    /// An access-time mode: replaces the others.
    Atime(u64),
    /// The same for the mount and everything below it.
    AtimeAll(u64),
    /// A flag of the superblock.
    Super(&'static str),
    /// Takes a flag of the superblock away.
    NoSuper(&'static str),
    /// Propagation (MS_* bits), applied after the mount.
    Propagation(u32),
    /// A bind mount, recursive or not.
    Bind(bool),
    /// Changes an existing mount.
    Remount,
}

use Effect::{Atime, AtimeAll, Bind, Clear, ClearAll, NoSuper, Propagation, Remount, Set, SetAll, Super};

const RDONLY: u64 = abi::MOUNT_ATTR_RDONLY;
const NOSUID: u64 = abi::MOUNT_ATTR_NOSUID;
const NODEV: u64 = abi::MOUNT_ATTR_NODEV;
const NOEXEC: u64 = abi::MOUNT_ATTR_NOEXEC;
const NOATIME: u64 = abi::MOUNT_ATTR_NOATIME;
const STRICTATIME: u64 = abi::MOUNT_ATTR_STRICTATIME;
const NODIRATIME: u64 = abi::MOUNT_ATTR_NODIRATIME;
const NOSYMFOLLOW: u64 = abi::MOUNT_ATTR_NOSYMFOLLOW;
/// The access-time mode that is the kernel's default.
const RELATIME: u64 = 0;

const MS_REC: u32 = abi::MS_REC as u32;
const MS_UNBINDABLE: u32 = 1 << 17;
const MS_PRIVATE: u32 = 1 << 18;
const MS_SLAVE: u32 = 1 << 19;
const MS_SHARED: u32 = 1 << 20;

// table: sorted, one word a line.
const TABLE: &[(&str, Effect)] = &[
    ("async", NoSuper("sync")),
    ("atime", Atime(RELATIME)),
    ("bind", Bind(false)),
    ("defaults", Effect::None),
    ("dev", Clear(NODEV)),
    ("diratime", Clear(NODIRATIME)),
    ("dirsync", Super("dirsync")),
    ("exec", Clear(NOEXEC)),
    // The kernel's filesystem contexts have no word for it, and the filesystems with a change counter keep it anyway.
    ("iversion", Effect::None),
    ("lazytime", Super("lazytime")),
    ("loud", Effect::None),
    ("mand", Super("mand")),
    ("noatime", Atime(NOATIME)),
    ("nodev", Set(NODEV)),
    ("nodiratime", Set(NODIRATIME)),
    ("noexec", Set(NOEXEC)),
    ("noiversion", Effect::None),
    ("nolazytime", NoSuper("lazytime")),
    ("nomand", NoSuper("mand")),
    ("norelatime", Atime(RELATIME)),
    ("nostrictatime", Atime(RELATIME)),
    ("nosuid", Set(NOSUID)),
    ("nosymfollow", Set(NOSYMFOLLOW)),
    ("private", Propagation(MS_PRIVATE)),
    ("ratime", AtimeAll(RELATIME)),
    ("rbind", Bind(true)),
    ("rdev", ClearAll(NODEV)),
    ("rdiratime", ClearAll(NODIRATIME)),
    ("relatime", Atime(RELATIME)),
    ("remount", Remount),
    ("rexec", ClearAll(NOEXEC)),
    ("rnoatime", AtimeAll(NOATIME)),
    ("rnodev", SetAll(NODEV)),
    ("rnodiratime", SetAll(NODIRATIME)),
    ("rnoexec", SetAll(NOEXEC)),
    ("rnorelatime", AtimeAll(RELATIME)),
    ("rnostrictatime", AtimeAll(RELATIME)),
    ("rnosuid", SetAll(NOSUID)),
    ("rnosymfollow", SetAll(NOSYMFOLLOW)),
    ("ro", Set(RDONLY)),
    ("rprivate", Propagation(MS_PRIVATE | MS_REC)),
    ("rrelatime", AtimeAll(RELATIME)),
    ("rro", SetAll(RDONLY)),
    ("rrw", ClearAll(RDONLY)),
    ("rshared", Propagation(MS_SHARED | MS_REC)),
    ("rslave", Propagation(MS_SLAVE | MS_REC)),
    ("rstrictatime", AtimeAll(STRICTATIME)),
    ("rsuid", ClearAll(NOSUID)),
    ("rsymfollow", ClearAll(NOSYMFOLLOW)),
    ("runbindable", Propagation(MS_UNBINDABLE | MS_REC)),
    ("rw", Clear(RDONLY)),
    ("shared", Propagation(MS_SHARED)),
    ("silent", Effect::None),
    ("slave", Propagation(MS_SLAVE)),
    ("strictatime", Atime(STRICTATIME)),
    ("suid", Clear(NOSUID)),
    ("symfollow", Clear(NOSYMFOLLOW)),
    ("sync", Super("sync")),
    ("unbindable", Propagation(MS_UNBINDABLE)),
];

/// Every word that the table knows, sorted: what `features` lists.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// The propagation of a word such as `rslave`, `None` if it is no such word.
pub fn propagation(word: &str) -> Option<u32> {
    match lookup(word)? {
        Propagation(flags) => Some(flags),
        _ => None,
    }
}

fn lookup(word: &str) -> Option<Effect> {
    let index = TABLE.binary_search_by(|(name, _)| (*name).cmp(word)).ok()?;
    TABLE.get(index).map(|(_, effect)| *effect)
}

/// Attributes to set and to clear. An access-time mode is set together with clearing all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// MOUNT_ATTR_* bits to set.
    pub set: u64,
    /// MOUNT_ATTR_* bits to clear.
    pub clear: u64,
}

impl Attributes {
    fn set(&mut self, bit: u64) {
        self.set |= bit;
        self.clear &= !bit;
    }

    fn clear(&mut self, bit: u64) {
        self.clear |= bit;
        self.set &= !bit;
    }

    /// Applies what `later` sets and clears on top of this.
    pub(super) fn add(&mut self, later: Self) {
        self.set = self.set & !later.clear | later.set;
        self.clear = self.clear & !later.set | later.clear;
    }

    fn atime(&mut self, mode: u64) {
        self.set = self.set & !abi::MOUNT_ATTR__ATIME | mode;
        self.clear |= abi::MOUNT_ATTR__ATIME;
    }
}

/// The options of one mount, sorted by where they go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountOptions<'a> {
    /// For the mount itself.
    pub top: Attributes,
    /// For the mount and everything below it.
    pub all: Attributes,
    /// Flags of the superblock.
    pub superblock: Vec<&'static str>,
    /// MS_* propagation bits, 0 for none; the last word wins.
    pub propagation: u32,
    /// `bind` or `rbind`; the value says which.
    pub bind: Option<bool>,
    /// `remount` was given.
    pub remount: bool,
    /// What goes to the filesystem, in order.
    pub data: Vec<&'a str>,
}

impl<'a> MountOptions<'a> {
    /// Sorts `options`.
    pub fn parse(options: impl Iterator<Item = &'a str>) -> Self {
        let mut sorted = Self::default();
        for option in options {
            match lookup(option) {
                Some(effect) => sorted.apply(effect),
                None => sorted.data.push(option),
            }
        }
        sorted
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::None => {}
            Set(bit) => self.top.set(bit),
            Clear(bit) => self.top.clear(bit),
            SetAll(bit) => self.all.set(bit),
            ClearAll(bit) => self.all.clear(bit),
            Atime(mode) => self.top.atime(mode),
            AtimeAll(mode) => self.all.atime(mode),
            Super(flag) => {
                self.superblock.retain(|present| *present != flag);
                self.superblock.push(flag);
            }
            NoSuper(flag) => self.superblock.retain(|present| *present != flag),
            Propagation(flags) => self.propagation = flags,
            Bind(recursive) => self.bind = Some(recursive),
            Remount => self.remount = true,
        }
    }
}

/// The words of attributes and propagation, for printed plans.
pub fn words(attributes: Attributes, propagation: u32) -> Vec<&'static str> {
    let bits: [(u64, &str, &str); 5] = [
        (RDONLY, "ro", "rw"),
        (NOSUID, "nosuid", "suid"),
        (NODEV, "nodev", "dev"),
        (NOEXEC, "noexec", "exec"),
        (NOSYMFOLLOW, "nosymfollow", "symfollow"),
    ];
    let mut words: Vec<&str> = Vec::new();
    for (bit, set, clear) in bits {
        if attributes.set & bit != 0 {
            words.push(set);
        } else if attributes.clear & bit != 0 {
            words.push(clear);
        }
    }
    words.extend(atime_word(attributes));
    words.extend((attributes.set & NODIRATIME != 0).then_some("nodiratime"));
    words.extend((attributes.clear & NODIRATIME != 0).then_some("diratime"));
    let named = |word: &&(&str, Effect)| word.1 == Propagation(propagation);
    words.extend(TABLE.iter().find(named).map(|(name, _)| *name));
    words
}

fn atime_word(attributes: Attributes) -> Option<&'static str> {
    match attributes.set & abi::MOUNT_ATTR__ATIME {
        NOATIME => Some("noatime"),
        STRICTATIME => Some("strictatime"),
        _ => (attributes.clear & abi::MOUNT_ATTR__ATIME != 0).then_some("relatime"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &str) -> MountOptions<'_> {
        MountOptions::parse(options.split(','))
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    /// Any other is EINVAL on every filesystem (common_set_sb_flag in fs/fs_context.c).
    #[test]
    fn superblock_flags_are_those_that_a_filesystem_context_takes() {
        let flags = TABLE.iter().filter_map(|(_, effect)| match effect {
            Super(flag) | NoSuper(flag) => Some(*flag),
            _ => None,
        });
        for flag in flags {
            assert!(["dirsync", "lazytime", "mand", "sync"].contains(&flag), "{flag}");
        }
    }

    #[test]
    fn the_last_word_wins() {
        assert_eq!(parse("ro,rw").top, Attributes { set: 0, clear: RDONLY });
        assert_eq!(parse("rw,ro").top, Attributes { set: RDONLY, clear: 0 });
        assert_eq!(parse("noatime,strictatime").top.set, STRICTATIME);
        assert_eq!(parse("sync,async").superblock, Vec::<&str>::new());
    }

    #[test]
    fn unknown_words_are_data_in_order() {
        assert_eq!(parse("size=1k,nosuid,mode=755").data, ["size=1k", "mode=755"]);
    }

    #[test]
    fn what_is_added_later_wins() {
        let mut top = parse("ro,nodev,noatime").top;
        top.add(parse("rrw,rnosuid,rstrictatime").all);
        assert_eq!(top.set, NODEV | NOSUID | STRICTATIME);
        assert_eq!(top.clear & (RDONLY | NODEV), RDONLY);
    }

    #[test]
    fn recursive_words_do_not_touch_the_top() {
        let options = parse("rro,rnosuid");
        assert_eq!(options.top, Attributes::default());
        assert_eq!(options.all.set, RDONLY | NOSUID);
    }
}
