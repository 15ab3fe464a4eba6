//! The demo's folder: the bundle and the state roots. It goes away with the demo.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use teu_conformance::bundle::Bundle;

/// The folder.
pub struct Work {
    dir: PathBuf,
    /// The bundle: a configuration like the one `teu spec` prints, and a root that holds one static program.
    pub bundle: Bundle,
}

/// What the program in the container is asked: it prints one line of JSON and sleeps.
const OPS: [&str; 18] = [
    "pid",
    "status",
    "hostname",
    "cwd",
    "env",
    "limits",
    "ns",
    "cgroup",
    "fds",
    "mounts",
    "list:/",
    "list:/dev",
    "write:/file=x",
    "write:/dev/shm/file=x",
    "mount:tmpfs:/dev/shm",
    "mknod:/dev/shm/disk:b:8:0",
    "sethostname:other",
    "sleep",
];

impl Work {
    /// Makes the folder and the bundle.
    pub fn make() -> io::Result<Self> {
        let id = format!("teu-demo-{}", std::process::id());
        // The path of a rootfs may not lead through a symlink.
        let dir = std::env::temp_dir().canonicalize()?.join(&id);
        fs::create_dir(&dir)?;
        let bundle = Bundle::with_probe(dir.join("bundle"), &id);
        let mut work = match bundle {
            Ok(bundle) => Self { dir, bundle },
            Err(error) => {
                let _ = fs::remove_dir_all(&dir);
                return Err(error);
            }
        };
        // Where the first mounts go; runtimes would make them, and as root only.
        for name in ["proc", "dev", "sys"] {
            fs::create_dir(work.bundle.path(name))?;
        }
        work.bundle.ops(&OPS).set("/hostname", "demo").write()?;
        Ok(work)
    }

    /// A state root for one runtime.
    pub fn state(&self, runtime: &str) -> PathBuf {
        self.dir.join(format!("state-{runtime}"))
    }

    /// The bundle's folder.
    pub fn bundle_dir(&self) -> &Path {
        &self.bundle.dir
    }

    /// A path as the reader should see it: without the folder's name.
    pub fn plain(&self, text: &str) -> String {
        text.replace(&*self.dir.to_string_lossy(), "")
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}
