//! Walks through a real directory tree. The law of every test: what is found or made lies inside the root, and nothing appears outside.

use super::*;
use crate::abi::{ENOTDIR, S_IFDIR, S_IFMT, S_IFREG};
use crate::harness::{self, Scratch};
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// A rootfs beside a canary: `root/` and `outside/`, in one scratch directory.
struct Tree {
    scratch: Scratch,
    root: Fd,
}

impl Tree {
    fn new(name: &str) -> Self {
        let scratch = Scratch::new(name);
        fs::create_dir(scratch.path().join("root")).unwrap();
        fs::create_dir(scratch.path().join("outside")).unwrap();
        let root = harness::handle(&scratch.path().join("root"));
        Self { scratch, root }
    }

    fn root(&self) -> PathBuf {
        self.scratch.path().join("root")
    }

    fn outside(&self) -> PathBuf {
        self.scratch.path().join("outside")
    }

    fn link(&self, path: &str, target: impl AsRef<Path>) {
        symlink(target, self.root().join(path)).unwrap();
    }

    fn make(&self, path: &str, leaf: Leaf) -> Result<PathBuf> {
        self.make_plain(path, leaf, false)
    }

    /// Makes `path` and returns where it is below the root.
    fn make_plain(&self, path: &str, leaf: Leaf, plain: bool) -> Result<PathBuf> {
        let fd = open_or_make(self.root, &CString::new(path).unwrap(), leaf, plain)?;
        let kind = u32::from(sys::statx(fd, c"", crate::abi::AT_EMPTY_PATH)?.mode) & S_IFMT;
        let place = harness::place_of(fd);
        fd.close();
        let inside =
            place.strip_prefix(self.root()).unwrap_or_else(|_| panic!("{} is outside", place.display()));
        assert!(kind == S_IFDIR || leaf == Leaf::File && kind == S_IFREG, "{path}: {kind:o}");
        Ok(inside.to_owned())
    }

    fn made(&self, path: &str, leaf: Leaf) -> PathBuf {
        self.make(path, leaf).unwrap_or_else(|errno| panic!("{path}: errno {errno}"))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.root.close();
        let outside: Vec<_> = fs::read_dir(self.outside()).unwrap().collect();
        assert!(outside.is_empty() || std::thread::panicking(), "{outside:?}");
    }
}

#[test]
fn missing_parents_are_made() {
    let tree = Tree::new("parents");
    assert_eq!(tree.made("/a/b/c", Leaf::Directory), Path::new("a/b/c"));
    assert_eq!(tree.made("a/b/d/file", Leaf::File), Path::new("a/b/d/file"));
    assert!(fs::metadata(tree.root().join("a/b/d/file")).unwrap().is_file());
    assert_eq!(tree.made("/a/b/c", Leaf::File), Path::new("a/b/c"), "what is there is taken as it is");
}

#[test]
fn slashes_and_dots_are_no_components() {
    let tree = Tree::new("slashes");
    assert_eq!(tree.made("//a//b///", Leaf::Directory), Path::new("a/b"));
    assert_eq!(tree.made("/c/./d/.", Leaf::Directory), Path::new("c/d"));
    assert_eq!(tree.made("/file/", Leaf::File), Path::new("file"), "a file leaf with a slash behind it");
    for root in ["", "/", ".", "/.", "..", "/../..", "a/.."] {
        assert_eq!(tree.made(root, Leaf::Directory), Path::new(""), "{root:?}");
    }
}

#[test]
fn dots_never_climb_out() {
    let tree = Tree::new("dots");
    assert_eq!(tree.made("/../../outside/x", Leaf::Directory), Path::new("outside/x"));
    assert_eq!(tree.made("../a/../../b", Leaf::File), Path::new("b"));
    assert_eq!(tree.made("new/../sibling", Leaf::Directory), Path::new("sibling"));
}

#[test]
fn absolute_links_start_at_the_root_of_the_container() {
    let tree = Tree::new("absolute");
    tree.link("dangling", tree.outside().join("x"));
    tree.link("short", "/target/deep");
    assert_eq!(tree.made("short/leaf", Leaf::File), Path::new("target/deep/leaf"));
    assert_eq!(tree.made("short", Leaf::Directory), Path::new("target/deep"));
    let mirrored: PathBuf = tree.outside().join("x").strip_prefix("/").unwrap().to_owned();
    assert_eq!(tree.made("dangling", Leaf::Directory), mirrored, "the same path, inside");
}

#[test]
fn relative_links_start_at_their_own_directory() {
    let tree = Tree::new("relative");
    fs::create_dir_all(tree.root().join("a/b")).unwrap();
    tree.link("a/b/up", "../c");
    tree.link("a/b/out", "../../../../outside/x");
    tree.link("a/b/here", "./new/");
    assert_eq!(tree.made("a/b/up/leaf", Leaf::Directory), Path::new("a/c/leaf"));
    assert_eq!(tree.made("a/b/out", Leaf::File), Path::new("outside/x"));
    assert_eq!(tree.made("a/b/here", Leaf::Directory), Path::new("a/b/new"));
}

#[test]
fn a_relative_link_behind_a_link_to_a_directory_starts_where_that_one_leads() {
    let tree = Tree::new("behind");
    fs::create_dir_all(tree.root().join("real/deep")).unwrap();
    tree.link("alias", "/real/deep");
    tree.link("real/deep/next", "../made");
    assert_eq!(tree.made("alias/next/x", Leaf::Directory), Path::new("real/made/x"));
}

#[test]
fn forty_links_are_followed_and_the_next_is_refused() {
    let tree = Tree::new("forty");
    for number in 0..41 {
        tree.link(&format!("l{number}"), format!("l{}", number + 1));
    }
    assert_eq!(tree.make("l0", Leaf::Directory), Err(ELOOP), "41 links");
    assert_eq!(tree.made("l1", Leaf::Directory), Path::new("l41"), "40 links");
    tree.link("loop", "loop");
    assert_eq!(tree.make("loop/x", Leaf::Directory), Err(ELOOP));
}

/// The kernel sees each of these links only after the directory before it was made, so it never counts them together.
#[test]
fn links_hidden_behind_missing_directories_count_too() {
    for (links, expected) in [(40, Ok(PathBuf::from("l40"))), (41, Err(ELOOP))] {
        let tree = Tree::new(&format!("hidden{links}"));
        for number in 0..links {
            tree.link(&format!("l{number}"), format!("n{number}/../l{}", number + 1));
        }
        assert_eq!(tree.make("l0", Leaf::Directory), expected, "{links} links");
    }
}

#[test]
fn plain_walks_refuse_every_link() {
    let tree = Tree::new("plain");
    fs::create_dir(tree.root().join("real")).unwrap();
    tree.link("dangling", "nowhere");
    tree.link("good", "real");
    for path in ["dangling", "dangling/x", "good", "good/x"] {
        assert_eq!(tree.make_plain(path, Leaf::Directory, true), Err(ELOOP), "{path}");
    }
    assert_eq!(tree.make_plain("real/x", Leaf::Directory, true).unwrap(), Path::new("real/x"));
}

#[test]
fn a_file_on_the_way_is_an_error() {
    let tree = Tree::new("file");
    fs::write(tree.root().join("file"), "").unwrap();
    tree.link("link", "file");
    for path in ["file/x", "link/x", "file/../x"] {
        assert_eq!(tree.make(path, Leaf::Directory), Err(ENOTDIR), "{path}");
    }
}

#[test]
fn names_have_255_bytes_and_not_256() {
    let tree = Tree::new("names");
    let (longest, too_long) = ("n".repeat(255), "n".repeat(256));
    assert_eq!(tree.made(&format!("d/{longest}/x"), Leaf::File), PathBuf::from(format!("d/{longest}/x")));
    assert_eq!(tree.make(&format!("d/{too_long}"), Leaf::File), Err(ENAMETOOLONG));
}

#[test]
fn paths_have_4095_bytes_and_not_4096() {
    let tree = Tree::new("paths");
    let path = |length: usize| format!("{}/", "p".repeat(199)).repeat(20) + &"q".repeat(length - 4000);
    // The kernel's name for the result has the scratch directory before it, so it is asked for less.
    let fd = open_or_make(tree.root, &CString::new(path(4095)).unwrap(), Leaf::Directory, false).unwrap();
    fd.close();
    assert_eq!(tree.make(&path(4096), Leaf::Directory), Err(ENAMETOOLONG));
    assert_eq!(tree.make(&path(5000), Leaf::Directory), Err(ENAMETOOLONG));
}

#[test]
fn a_link_that_makes_the_path_too_long_is_refused() {
    let tree = Tree::new("grow");
    tree.link("long", vec!["g"; 2000].join("/"));
    let rest = vec!["h"; 100].join("/");
    assert_eq!(tree.make(&format!("long/{rest}"), Leaf::Directory), Err(ENAMETOOLONG));
}

#[test]
fn a_thousand_missing_directories_are_made() {
    let tree = Tree::new("thousand");
    let path = vec!["d"; 1000].join("/");
    assert_eq!(tree.made(&path, Leaf::Directory), PathBuf::from(path));
}

#[test]
fn the_parent_is_made_and_the_name_is_not() {
    let tree = Tree::new("parent");
    tree.link("dev", "/elsewhere");
    for (path, place, name) in
        [(c"/dev/null", "elsewhere", "null"), (c"leaf", "", "leaf"), (c"a//b//", "a", "b")]
    {
        let (head, tail) = split(path).unwrap();
        let made = directory(tree.root, head).unwrap();
        assert_eq!((harness::place_of(made), tail), (tree.root().join(place), name.as_bytes()));
        assert!(!tree.root().join(place).join(name).exists());
        made.close();
    }
}

/// Somebody in the container exchanges a directory for a link to the host all the time.
#[test]
fn a_walk_in_a_tree_that_changes_stays_inside() {
    let tree = Tree::new("race");
    let (root, outside) = (tree.root(), tree.outside());
    fs::create_dir_all(root.join("a")).unwrap();
    symlink(&outside, root.join("b")).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (a, b) = (harness::c_string(&root.join("a")), harness::c_string(&root.join("b")));
            while !stop.load(Ordering::Relaxed) {
                // SAFETY: both paths end with NUL and are borrowed.
                unsafe { libc::renameat2(-100, a.as_ptr(), -100, b.as_ptr(), libc::RENAME_EXCHANGE) };
            }
        });
        for number in 0..300 {
            // Inside, or refused.
            let _ = tree.make(&format!("a/{number}/../x{number}/f"), Leaf::File);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_copied_name_has_room_for_its_nul() {
    assert_eq!(Name::<8>::new(b"1234567").unwrap().as_c_str(), Ok(c"1234567"));
    assert_eq!(Name::<8>::new(b"12345678").err(), Some(ENAMETOOLONG));
}
