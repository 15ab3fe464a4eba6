//! One boot of a guest: a disk with the job and its files, qemu, and what came back. Nothing of it outlives the call: no mount, no loop device, and
//! timeout(1) ends qemu when the time is over.

use super::image::{self, Image};
use crate::project::{Project, program};
use crate::step::Step;
use std::fs;
use std::path::{Path, PathBuf};

/// A job for a guest.
pub struct Job<'a> {
    pub image: &'a Image,
    pub cgroups: Cgroups,
    /// The text of the shell script that the guest runs as root.
    pub script: String,
    /// Files that the script finds in /share, by their names.
    pub files: Vec<PathBuf>,
    /// The longest that everything may take.
    pub seconds: u32,
}

/// Which layout of cgroups systemd makes at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cgroups {
    V2,
    /// Controllers on v1, and a cgroup2 without any beside them.
    Hybrid,
}

/// How the job ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// With this exit status.
    Status(u8),
    /// The machine went down, or was taken down, before the job had ended.
    Lost(String),
}

impl Job<'_> {
    /// Boots, gives each line of the job's output to `line`, and waits for the power to go off.
    pub fn run(&self, project: &Project, line: impl FnMut(&str)) -> Result<End, String> {
        let qemu =
            program("qemu-system-x86_64").ok_or("qemu-system-x86_64 is not installed (qemu-system-x86)")?;
        self.image.build(project)?;
        let place = Place::make(project)?;
        self.share(project, &place)?;
        let step = self.qemu(project, &qemu, &place);
        let ended = step.judge(step.lines(&project.root, line)?);
        Ok(place.end(ended))
    }

    fn share(&self, project: &Project, place: &Place) -> Result<(), String> {
        let tree = place.0.join("share");
        let fail = |error: std::io::Error| format!("{}: {error}", tree.display());
        fs::create_dir(&tree).map_err(fail)?;
        fs::write(tree.join("job.sh"), format!("{STEADY}{}", self.script)).map_err(fail)?;
        let mut bytes = 0;
        for file in &self.files {
            let name = file.file_name().ok_or_else(|| format!("{}: no file", file.display()))?;
            bytes +=
                fs::copy(file, tree.join(name)).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        let mke2fs = program("mke2fs").ok_or("mke2fs is not installed (e2fsprogs)")?;
        image::disk(
            project,
            &mke2fs,
            &tree,
            &place.0.join("share.disk"),
            &format!("{}M", bytes / 900_000 + 16),
        )
    }

    fn qemu(&self, project: &Project, qemu: &Path, place: &Place) -> Step {
        let drive = |file: &Path| format!("file={},if=virtio,format=raw,snapshot=on", file.display());
        let port = |name: &str| format!("virtserialport,chardev={name},name=teu.{name}");
        Step::new(format!("boot {} ({})", self.image.name, self.image.about), qemu)
            .args(["-accel", accelerator(), "-cpu", "max", "-smp", "2", "-m", "3072"])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-net", "none"])
            .arg("-kernel")
            .arg(self.image.file(project, "vmlinuz"))
            .arg("-initrd")
            .arg(self.image.file(project, "initrd"))
            .args(["-append", &kernel_line(self.cgroups, self.image.security)])
            .args(["-drive", &drive(&self.image.file(project, "disk"))])
            .args(["-drive", &drive(&place.0.join("share.disk"))])
            .args(["-serial", &format!("file:{}", place.console().display())])
            .args([
                "-device",
                "virtio-serial-pci",
                "-chardev",
                "file,id=out,path=/dev/stdout",
                "-device",
                &port("out"),
            ])
            .args(["-chardev", &format!("file,id=status,path={}", place.status().display())])
            .args(["-device", &port("status")])
            .limit_seconds(self.seconds)
    }
}

/// The kernel patches its scheduler when a first quota of processors is set and when the last one goes. In software emulation the other processor may then
/// run into a breakpoint that is no longer there, which is the end of the machine: one quota is there all the time.
const STEADY: &str = "systemd-run --quiet --unit=steady --property=CPUQuota=100% sleep infinity\n";

/// KVM if the processor itself can do it. Elsewhere a `/dev/kvm` may be an emulation that does not get through a boot; qemu's own always does.
fn accelerator() -> &'static str {
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let device = fs::File::options().read(true).write(true).open("/dev/kvm");
    if virtualizes(&flags) && device.is_ok() { "kvm" } else { "tcg,thread=multi" }
}

fn virtualizes(cpuinfo: &str) -> bool {
    cpuinfo.split_whitespace().any(|flag| matches!(flag, "vmx" | "svm"))
}

/// `tsc=reliable`: the kernel patches its clock when it finds that the time stamps of an emulated processor jump, with the same end as in [`STEADY`].
fn kernel_line(cgroups: Cgroups, security: &str) -> String {
    const ALWAYS: &str = "root=/dev/vda rw console=ttyS0 quiet panic=-1 mitigations=off \
                          systemd.show_status=0 net.ifnames=0 tsc=reliable";
    let layout = match cgroups {
        Cgroups::V2 => "systemd.unified_cgroup_hierarchy=1",
        // systemd 256 and newer want to be asked twice.
        Cgroups::Hybrid => "systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
    };
    format!("{ALWAYS} {security} {layout}")
}

/// The folder of one boot, gone when the value is.
struct Place(PathBuf);

impl Place {
    fn make(project: &Project) -> Result<Place, String> {
        let dir = project.lab().join("guest").join(format!("boot-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(Place(dir))
    }

    fn console(&self) -> PathBuf {
        self.0.join("console")
    }

    fn status(&self) -> PathBuf {
        self.0.join("status")
    }

    fn end(&self, ended: Result<(), String>) -> End {
        let told = fs::read_to_string(self.status()).unwrap_or_default();
        if let Ok(status) = told.trim().parse() {
            return End::Status(status);
        }
        let console = fs::read(self.console()).unwrap_or_default();
        let reason = ended.err().unwrap_or_else(|| "the guest went down before its job had ended".to_owned());
        let kept =
            self.keep_console().map(|kept| format!("; all of it: {}", kept.display())).unwrap_or_default();
        End::Lost(format!("{reason}{}{kept}", last_lines(&String::from_utf8_lossy(&console))))
    }

    /// A kernel that dies says why long before its last lines.
    fn keep_console(&self) -> Option<PathBuf> {
        let kept = self.0.with_extension("console");
        fs::rename(self.console(), &kept).ok().map(|()| kept)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the console said last, behind a sentence.
fn last_lines(console: &str) -> String {
    const LINES: usize = 8;
    let lines: Vec<&str> = console.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
    if last.is_empty() {
        "; its console is empty".to_owned()
    } else {
        format!("; its console: {}", last.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        let dir = std::env::temp_dir().join(format!("teu-xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Place(dir)
    }

    #[test]
    fn a_status_that_came_back_is_the_end() {
        let place = place("status");
        fs::write(place.status(), "3\n").unwrap();
        assert_eq!(place.end(Err("qemu failed".to_owned())), End::Status(3));
    }

    #[test]
    fn a_machine_that_dies_tells_its_last_words() {
        let place = place("lost");
        fs::write(place.console(), "one\r\n\r\nKernel panic\r\n").unwrap();
        let End::Lost(reason) = place.end(Ok(())) else { panic!() };
        let kept = place.0.with_extension("console");
        let end = format!(
            "before its job had ended; its console: one | Kernel panic; all of it: {}",
            kept.display()
        );
        assert!(reason.ends_with(&end), "{reason}");
        assert!(fs::read_to_string(&kept).unwrap().starts_with("one"));
        fs::remove_file(&kept).unwrap();
    }

    #[test]
    fn a_processor_says_that_it_virtualizes() {
        assert!(virtualizes("flags : fpu svm lm") && !virtualizes("flags : fpu svme lm"));
    }

    #[test]
    fn the_folder_of_a_boot_goes_with_it() {
        let place = place("gone");
        let dir = place.0.clone();
        drop(place);
        assert!(!dir.exists());
    }
}
