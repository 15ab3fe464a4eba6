//! Tiny bundles: a directory with a rootfs and a configuration that a test edits and the first use writes.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{defaults, probe};

/// A bundle under construction.
#[derive(Debug)]
pub struct Bundle {
    /// The id its container gets unless the test chooses another; the last name of its cgroup path.
    pub id: String,
    /// The bundle directory.
    pub dir: PathBuf,
    /// The configuration.
    pub config: Value,
}

impl Bundle {
    /// A bundle whose rootfs holds the probe and nothing else.
    pub fn with_probe(dir: PathBuf, id: &str) -> io::Result<Self> {
        let bundle = Self { id: id.into(), dir, config: defaults::config() };
        fs::create_dir_all(bundle.rootfs())?;
        probe::install(&bundle.path("probe"))?;
        Ok(bundle)
    }

    /// A bundle whose rootfs holds busybox as well, with a link for each applet named.
    pub fn with_busybox(dir: PathBuf, id: &str, busybox: &Path, applets: &[&str]) -> io::Result<Self> {
        let bundle = Self::with_probe(dir, id)?;
        fs::create_dir(bundle.path("bin"))?;
        fs::copy(busybox, bundle.path("bin/busybox"))?;
        for applet in applets {
            symlink("busybox", bundle.path("bin").join(applet))?;
        }
        Ok(bundle)
    }

    /// A bundle on a rootfs that lives elsewhere and is used read-only.
    pub fn on(dir: PathBuf, id: &str, rootfs: &Path) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let mut bundle = Self { id: id.into(), dir, config: defaults::config() };
        bundle.set("/root/path", rootfs.to_string_lossy());
        Ok(bundle)
    }

    /// The rootfs below the bundle directory.
    pub fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    /// A path of the container, seen from the host.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.rootfs().join(inside.trim_start_matches('/'))
    }

    /// Writes the configuration.
    pub fn write(&self) -> io::Result<()> {
        fs::write(self.dir.join("config.json"), serde_json::to_vec(&self.config)?)
    }

    /// Sets the value at a JSON pointer; objects on the way are made, `-` appends to an array.
    pub fn set(&mut self, pointer: &str, value: impl Into<Value>) -> &mut Self {
        let mut at = &mut self.config;
        for key in pointer.split('/').skip(1) {
            at = step(at, key);
        }
        *at = value.into();
        self
    }

    /// Appends to the array at a JSON pointer, which is made when it is missing.
    pub fn push(&mut self, pointer: &str, value: impl Into<Value>) -> &mut Self {
        if self.config.pointer(pointer).is_none() {
            self.set(pointer, json!([]));
        }
        self.set(&format!("{pointer}/-"), value)
    }

    /// Removes a key of the object at a JSON pointer.
    pub fn remove(&mut self, pointer: &str) -> &mut Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        if let Some(Value::Object(map)) = self.config.pointer_mut(parent) {
            map.shift_remove(key);
        }
        self
    }

    /// The container's arguments.
    pub fn args(&mut self, args: &[&str]) -> &mut Self {
        self.set("/process/args", args)
    }

    /// The probe with these ops.
    pub fn ops(&mut self, ops: &[&str]) -> &mut Self {
        let args: Vec<&str> = ["/probe"].into_iter().chain(ops.iter().copied()).collect();
        self.args(&args)
    }

    /// Appends a mount.
    pub fn mount(&mut self, destination: &str, kind: &str, source: &str, options: &[&str]) -> &mut Self {
        self.push(
            "/mounts",
            json!({ "destination": destination, "type": kind, "source": source, "options": options }),
        )
    }

    /// Appends a bind mount.
    pub fn bind(&mut self, source: &Path, destination: &str, options: &[&str]) -> &mut Self {
        self.mount(destination, "bind", &source.to_string_lossy(), options)
    }

    /// Leaves a mount out.
    pub fn without_mount(&mut self, destination: &str) -> &mut Self {
        if let Some(Value::Array(list)) = self.config.pointer_mut("/mounts") {
            list.retain(|mount| mount["destination"] != destination);
        }
        self
    }

    /// Leaves a namespace out.
    pub fn without_namespace(&mut self, kind: &str) -> &mut Self {
        self.namespaces(|list| list.retain(|entry| entry["type"] != kind))
    }

    /// Joins a namespace by path instead of making a new one.
    pub fn join(&mut self, kind: &str, path: &str) -> &mut Self {
        self.without_namespace(kind).push("/linux/namespaces", json!({ "type": kind, "path": path }))
    }

    /// A new user namespace with these mappings (container, host, size) of uids and gids alike; the rootfs is given to
    /// the host id that is root inside, so that mount points can be made.
    pub fn map_users(&mut self, mappings: &[(u32, u32, u32)]) -> io::Result<&mut Self> {
        let list: Vec<Value> = mappings
            .iter()
            .map(|(inside, host, size)| json!({ "containerID": inside, "hostID": host, "size": size }))
            .collect();
        let root = mappings.iter().find(|(inside, ..)| *inside == 0).map(|(_, host, _)| *host);
        chown(self.rootfs(), root, root)?;
        self.push("/linux/namespaces", json!({ "type": "user" }));
        Ok(self.set("/linux/uidMappings", list.clone()).set("/linux/gidMappings", list))
    }

    /// Makes a directory of the container.
    pub fn dir(&self, inside: &str, mode: u32) -> io::Result<PathBuf> {
        let path = self.path(inside);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(path)
    }

    /// Makes a file of the container.
    pub fn file(&self, inside: &str, content: &str, mode: u32) -> io::Result<PathBuf> {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap_or(&self.dir))?;
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(path)
    }

    fn namespaces(&mut self, edit: impl FnOnce(&mut Vec<Value>)) -> &mut Self {
        if let Some(Value::Array(list)) = self.config.pointer_mut("/linux/namespaces") {
            edit(list);
        }
        self
    }
}

fn step<'a>(at: &'a mut Value, key: &str) -> &'a mut Value {
    if let Value::Array(list) = at {
        let index = key.parse().unwrap_or(list.len());
        if index >= list.len() {
            list.push(Value::Null);
        }
        let last = list.len() - 1;
        return &mut list[index.min(last)];
    }
    if !at.is_object() {
        *at = json!({});
    }
    &mut at[key]
}
