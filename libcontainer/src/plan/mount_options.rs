//! The table of mount options (runtime-spec "Linux mount options"): what each word sets or clears.
//!
//! Options act in order and the last one wins. Words that are not in the table go to the filesystem as data.

use teu_init::abi;

/// What a word does.
#[derive(Clone, Copy, Debug)]
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
    /// Takes an access-time mode back; another one that was asked for stays.
    NotAtime(u64),
    /// The first for the mount and everything below it.
    AtimeAll(u64),
    /// The second for the mount and everything below it.
    NotAtimeAll(u64),
    /// A flag of the superblock.
    Super(&'static str),
    /// Takes a flag of the superblock away; the second word says so to a filesystem that has it already.
    NoSuper(&'static str, &'static str),
    /// Propagation (MS_* bits), applied after the mount.
    Propagation(u32),
    /// A bind mount, recursive or not.
    Bind(bool),
    /// Changes an existing mount.
    Remount,
    /// A thing that the runtime does beside the mount.
    Extra(fn(&mut Extras)),
}

use Effect::{
    Atime, AtimeAll, Bind, Clear, ClearAll, Extra, NoSuper, NotAtime, NotAtimeAll, Propagation, Remount, Set,
    SetAll, Super,
};

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
    ("async", NoSuper("sync", "async")),
    ("atime", NotAtime(NOATIME)),
    ("bind", Bind(false)),
    ("copy-symlink", Extra(|extras| extras.copy_link = true)),
    ("defaults", Effect::None),
    ("dest-nofollow", Extra(|extras| extras.keep_target_link = true)),
    ("dev", Clear(NODEV)),
    ("diratime", Clear(NODIRATIME)),
    ("dirsync", Super("dirsync")),
    ("exec", Clear(NOEXEC)),
    ("idmap", Extra(|extras| extras.map(false))),
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
    ("nolazytime", NoSuper("lazytime", "nolazytime")),
    ("nomand", NoSuper("mand", "nomand")),
    ("norelatime", NotAtime(RELATIME)),
    ("nostrictatime", NotAtime(STRICTATIME)),
    ("nosuid", Set(NOSUID)),
    ("nosymfollow", Set(NOSYMFOLLOW)),
    ("private", Propagation(MS_PRIVATE)),
    // Flags of a superblock have no recursive form: the words are taken and do nothing, as in crun.
    ("rasync", Effect::None),
    ("ratime", NotAtimeAll(NOATIME)),
    ("rbind", Bind(true)),
    ("rdev", ClearAll(NODEV)),
    ("rdiratime", ClearAll(NODIRATIME)),
    ("rdirsync", Effect::None),
    ("relatime", Atime(RELATIME)),
    ("remount", Remount),
    ("rexec", ClearAll(NOEXEC)),
    ("ridmap", Extra(|extras| extras.map(true))),
    ("rmand", Effect::None),
    ("rnoatime", AtimeAll(NOATIME)),
    ("rnodev", SetAll(NODEV)),
    ("rnodiratime", SetAll(NODIRATIME)),
    ("rnoexec", SetAll(NOEXEC)),
    ("rnomand", Effect::None),
    ("rnorelatime", NotAtimeAll(RELATIME)),
    ("rnostrictatime", NotAtimeAll(STRICTATIME)),
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
    ("rsync", Effect::None),
    ("runbindable", Propagation(MS_UNBINDABLE | MS_REC)),
    ("rw", Clear(RDONLY)),
    ("shared", Propagation(MS_SHARED)),
    ("silent", Effect::None),
    ("slave", Propagation(MS_SLAVE)),
    ("src-nofollow", Extra(|extras| extras.keep_source_link = true)),
    ("strictatime", Atime(STRICTATIME)),
    ("suid", Clear(NOSUID)),
    ("symfollow", Clear(NOSYMFOLLOW)),
    ("sync", Super("sync")),
    ("tmpcopyup", Extra(|extras| extras.copy_up = true)),
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

    /// Whether an access-time mode was asked for.
    pub(super) fn has_atime(self) -> bool {
        (self.set | self.clear) & abi::MOUNT_ATTR__ATIME != 0
    }

    fn atime(&mut self, mode: u64) {
        self.set = self.set & !abi::MOUNT_ATTR__ATIME | mode;
        self.clear |= abi::MOUNT_ATTR__ATIME;
    }

    /// Takes `mode` back, which leaves the kernel's default. Asked for alone it does so too if `alone`.
    fn not_atime(&mut self, mode: u64, alone: bool) {
        let asked = self.set & abi::MOUNT_ATTR__ATIME;
        if (self.has_atime() && asked == mode) || (!self.has_atime() && alone) {
            self.atime(RELATIME);
        }
    }
}

/// What the runtime does beside the mount itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// `tmpcopyup`: a tmpfs starts with what it covers.
    pub copy_up: bool,
    /// `copy-symlink`: a source that is a link is made again at the target.
    pub copy_link: bool,
    /// `src-nofollow`: a source that is a link is bound itself.
    pub keep_source_link: bool,
    /// `dest-nofollow`: a target that is a link is covered itself.
    pub keep_target_link: bool,
    /// `idmap` or `ridmap`; the value says whether with everything below.
    pub mapped: Option<bool>,
}

impl Extras {
    fn map(&mut self, recursive: bool) {
        self.mapped = Some(recursive);
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
    /// Flags that a superblock which exists already must lose, with the word for that.
    pub superblock_off: Vec<(&'static str, &'static str)>,
    /// MS_* propagation bits, in the order in which they are applied: a slave may become shared again.
    pub propagation: Vec<u32>,
    /// `bind` or `rbind`; the value says which.
    pub bind: Option<bool>,
    /// `remount` was given.
    pub remount: bool,
    /// What goes beyond mount flags.
    pub extras: Extras,
    /// The mappings behind `idmap=` or `ridmap=`.
    pub mappings: Option<&'a str>,
    /// What goes to the filesystem, in order.
    pub data: Vec<&'a str>,
}

impl<'a> MountOptions<'a> {
    /// Sorts `options`.
    pub fn parse(options: impl Iterator<Item = &'a str>) -> Self {
        let mut sorted = Self::default();
        for option in options {
            match (lookup(option), option.split_once('=')) {
                (Some(effect), _) => sorted.apply(effect),
                (None, Some((word @ ("idmap" | "ridmap"), mappings))) => {
                    sorted.extras.map(word == "ridmap");
                    sorted.mappings = Some(mappings);
                }
                (None, _) => sorted.data.push(option),
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
            // As runc and mount(8): for one mount the word alone says nothing.
            NotAtime(mode) => self.top.not_atime(mode, false),
            AtimeAll(mode) => self.all.atime(mode),
            NotAtimeAll(mode) => self.all.not_atime(mode, true),
            Super(flag) => {
                self.superblock.retain(|present| *present != flag);
                self.superblock_off.retain(|(cleared, _)| *cleared != flag);
                self.superblock.push(flag);
            }
            NoSuper(flag, word) => {
                self.superblock.retain(|present| *present != flag);
                self.superblock_off.push((flag, word));
            }
            Propagation(flags) => self.propagation.push(flags),
            Bind(recursive) => self.bind = Some(recursive),
            Remount => self.remount = true,
            Extra(note) => note(&mut self.extras),
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
    let named = |word: &&(&str, Effect)| matches!(word.1, Propagation(flags) if flags == propagation);
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
            Super(flag) | NoSuper(flag, _) => Some(*flag),
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
        assert_eq!(parse("shared,rslave").propagation, [MS_SHARED, MS_SLAVE | MS_REC]);
        assert_eq!(parse("sync,async").superblock, Vec::<&str>::new());
    }

    #[test]
    fn a_mode_that_is_taken_back_leaves_another_one_that_was_asked_for() {
        let atime = |options| {
            let top = parse(options).top;
            (top.set & abi::MOUNT_ATTR__ATIME, top.has_atime())
        };
        assert_eq!(atime("noatime,atime"), (RELATIME, true));
        assert_eq!(atime("noatime,norelatime"), (NOATIME, true));
        assert_eq!(atime("strictatime,nostrictatime"), (RELATIME, true));
        assert_eq!(atime("atime"), (0, false));
        assert_eq!(atime("norelatime"), (0, false));
        assert!(parse("rnorelatime").all.has_atime() && parse("ratime").all.has_atime());
        assert_eq!(parse("rnoatime,rnostrictatime").all.set, NOATIME);
    }

    #[test]
    fn mappings_of_an_option_are_kept_as_they_are() {
        let options = parse("ridmap=uids=0-1-2;gids=@0-1-2,idmapped");
        assert_eq!((options.extras.mapped, options.mappings), (Some(true), Some("uids=0-1-2;gids=@0-1-2")));
        assert_eq!(options.data, ["idmapped"]);
        assert_eq!(parse("idmap").extras.mapped, Some(false));
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
