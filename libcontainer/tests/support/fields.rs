//! Every field of a Linux configuration: what teu does with it, since which kernel, and what happens on an older one. The
//! table is checked against the types of `oci-spec`, and `docs/spec-support.md` is made from it.
#![allow(dead_code)] // each test program uses its part

/// A field: a value of config.json that holds no object of the specification itself.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its JSON pointer, `*` for an index or for a key of a map.
    pub pointer: &'static str,
    /// What teu does.
    pub does: &'static str,
    /// The first Linux that has it; empty: every one that teu runs on.
    pub since: &'static str,
    /// What happens without it.
    pub without: &'static str,
    /// Why a create does nothing with the value; empty: it does something.
    pub no_effect: &'static str,
}

/// A chapter of the table.
pub struct Chapter {
    /// Its heading.
    pub title: &'static str,
    /// Its fields, in the specification's order.
    pub fields: &'static [Field],
}

const fn field(pointer: &'static str, does: &'static str) -> Field {
    Field { pointer, does, since: "", without: "", no_effect: "" }
}

impl Field {
    const fn since(mut self, since: &'static str, without: &'static str) -> Field {
        self.since = since;
        self.without = without;
        self
    }

    /// On every kernel of this version, but only if the machine has it.
    const fn needs(self, without: &'static str) -> Field {
        self.since("", without)
    }

    const fn no_effect(mut self, why: &'static str) -> Field {
        self.no_effect = why;
        self
    }
}

/// True if `pointer` is a place of this pattern, or lies in one.
pub fn matches(pattern: &str, pointer: &str) -> bool {
    let mut given = pointer.split('/');
    pattern.split('/').all(|own| given.next().is_some_and(|given| own == "*" || own == given))
}

/// The field that holds the value at `pointer`.
pub fn find(pointer: &str) -> Option<&'static Field> {
    CHAPTERS.iter().flat_map(|chapter| chapter.fields).find(|field| matches(field.pointer, pointer))
}

const FOREIGN: &str = "for another platform";
const UPDATE: &str = "only an update asks for it";
const EXEC: &str =
    "of processes that exec adds, before and after they enter the cgroup; init has all of the cpuset";
const V1_ONLY: &str = "v1 only; on v2 the kernel has no such file";

const IDMAP: &str = "refused: id-mapped mounts need Linux 5.12, and a filesystem that supports them";
const CONTROLLER: &str = "refused: the controller is missing";
const BFQ: &str = "refused: the machine has no file for weights";
const RDT: &str = "refused: \"Intel RDT is not enabled\"";

// table: chapter, field, what teu does
/// Every chapter.
pub const CHAPTERS: &[Chapter] = &[
    Chapter {
        title: "Top level",
        fields: &[
            field("/ociVersion", "a semantic version 1.x, else refused")
                .no_effect("1.0 to 1.3 mean the same to teu"),
            field("/root/path", "the root, relative to the bundle; a symlink is refused"),
            field("/root/readonly", "the root is made read-only after everything was mounted in it"),
            field("/hostname", "set in the UTS namespace, which must be the container's"),
            field("/domainname", "set in the UTS namespace, which must be the container's"),
            field("/annotations", "kept, and shown to hooks and by `state`"),
        ],
    },
    Chapter {
        title: "Process",
        fields: &[
            field(
                "/process/terminal",
                "a terminal of the container's own devpts is its console, the master goes to the console socket",
            ),
            field("/process/consoleSize/height", "rows of the terminal"),
            field("/process/consoleSize/width", "columns of the terminal"),
            field("/process/user/uid", "the user, set after groups and gid"),
            field("/process/user/gid", "the group"),
            field("/process/user/umask", "the umask; 0022 if absent"),
            field(
                "/process/user/additionalGids",
                "the supplementary groups; refused where setgroups is denied",
            ),
            field(
                "/process/args",
                "looked up in the container's PATH as the container's user, a missing program fails the create",
            ),
            field(
                "/process/env",
                "order and duplicates are kept; HOME comes from the container's passwd if it is unset",
            ),
            field(
                "/process/cwd",
                "made if missing, entered as the container's user, and checked to be inside the root",
            ),
            field("/process/capabilities/bounding", "dropped from before the user is changed")
                .needs("a capability that the kernel lacks is left out"),
            field("/process/capabilities/effective", "set last; must be permitted")
                .needs("a capability that the kernel lacks is left out"),
            field("/process/capabilities/inheritable", "set last")
                .needs("a capability that the kernel lacks is left out"),
            field("/process/capabilities/permitted", "set last")
                .needs("a capability that the kernel lacks is left out"),
            field(
                "/process/capabilities/ambient",
                "raised at the end; one that is not inheritable and permitted is warned about",
            )
            .needs("a capability that the kernel lacks is left out"),
            field("/process/rlimits/*/type", "each type once"),
            field("/process/rlimits/*/soft", "set before the program runs, never on the caller"),
            field("/process/rlimits/*/hard", "set before the program runs, never on the caller"),
            field(
                "/process/noNewPrivileges",
                "set before seccomp; false moves seccomp before the change of user",
            ),
            field(
                "/process/apparmorProfile",
                "the profile of the program, written through a verified procfs",
            )
            .needs("refused: AppArmor is not enabled"),
            field("/process/oomScoreAdj", "written for init before it runs"),
            field("/process/selinuxLabel", "the label of the program and of its keyring")
                .needs("refused: SELinux is not enabled"),
            field("/process/ioPriority/class", "I/O priority of the process group"),
            field("/process/ioPriority/priority", "0 to 7, of the process group"),
            field(
                "/process/scheduler/policy",
                "sched_setattr; a policy without a meaning in Linux (ISO) is refused",
            ),
            field("/process/scheduler/nice", "for SCHED_OTHER and SCHED_BATCH"),
            field("/process/scheduler/priority", "1 to 99 for SCHED_FIFO and SCHED_RR, else 0"),
            field("/process/scheduler/flags", "all seven of the specification"),
            field("/process/scheduler/runtime", "for SCHED_DEADLINE, nanoseconds"),
            field("/process/scheduler/deadline", "for SCHED_DEADLINE, nanoseconds"),
            field("/process/scheduler/period", "for SCHED_DEADLINE, nanoseconds"),
            field("/process/execCPUAffinity/initial", "checked").no_effect(EXEC),
            field("/process/execCPUAffinity/final", "checked").no_effect(EXEC),
        ],
    },
    Chapter {
        title: "Mounts",
        fields: &[
            field(
                "/mounts/*/destination",
                "resolved inside the root, made if missing, mounted through a descriptor; `/` is refused, and so is most of `/proc`",
            ),
            field(
                "/mounts/*/type",
                "`bind` is a bind also without the option; `cgroup` becomes what the machine has",
            ),
            field("/mounts/*/source", "of a bind: relative to the bundle"),
            field(
                "/mounts/*/options",
                "the table of runc and more; what is no option goes to the filesystem",
            )
            .since("5.12 for recursive options, 5.14 for rnosymfollow", "refused, never left out"),
            field("/mounts/*/uidMappings/*/containerID", "an id-mapped mount").since("5.12", IDMAP),
            field("/mounts/*/uidMappings/*/hostID", "an id-mapped mount").since("5.12", IDMAP),
            field("/mounts/*/uidMappings/*/size", "an id-mapped mount").since("5.12", IDMAP),
            field("/mounts/*/gidMappings/*/containerID", "an id-mapped mount").since("5.12", IDMAP),
            field("/mounts/*/gidMappings/*/hostID", "an id-mapped mount").since("5.12", IDMAP),
            field("/mounts/*/gidMappings/*/size", "an id-mapped mount").since("5.12", IDMAP),
            field("/linux/rootfsPropagation", "all eight forms; `rslave` if absent"),
            field("/linux/mountLabel", "the SELinux context of the container's mounts")
                .needs("refused: SELinux is not enabled"),
            field(
                "/linux/maskedPaths",
                "a file is covered by /dev/null, a directory by an empty read-only tmpfs; a missing one is skipped",
            ),
            field("/linux/readonlyPaths", "bound on itself, read-only; a missing one is skipped"),
        ],
    },
    Chapter {
        title: "Hooks",
        fields: &[
            field(
                "/hooks/prestart/*/path",
                "run by the caller after the mounts, before the root is switched",
            ),
            field("/hooks/prestart/*/args", "as given; the path alone if absent"),
            field("/hooks/prestart/*/env", "exactly this, nothing if absent"),
            field(
                "/hooks/prestart/*/timeout",
                "seconds, then the hook's process group is killed and the create fails",
            ),
            field("/hooks/createRuntime/*/path", "run by the caller after the prestart hooks"),
            field("/hooks/createRuntime/*/args", "as given; the path alone if absent"),
            field("/hooks/createRuntime/*/env", "exactly this, nothing if absent"),
            field(
                "/hooks/createRuntime/*/timeout",
                "seconds, then the hook's process group is killed and the create fails",
            ),
            field(
                "/hooks/createContainer/*/path",
                "a program of the host, run in the container's namespaces before the root is switched",
            ),
            field("/hooks/createContainer/*/args", "as given; the path alone if absent"),
            field("/hooks/createContainer/*/env", "exactly this, nothing if absent"),
            field(
                "/hooks/createContainer/*/timeout",
                "seconds, then the hook's process group is killed and the create fails",
            ),
            field(
                "/hooks/startContainer/*/path",
                "a program of the container, run by init after start, before the program",
            ),
            field("/hooks/startContainer/*/args", "as given; the path alone if absent"),
            field("/hooks/startContainer/*/env", "exactly this; the container's environment if absent"),
            field(
                "/hooks/startContainer/*/timeout",
                "seconds, then the hook's process group is killed and the start fails",
            ),
            field(
                "/hooks/poststart/*/path",
                "run by the caller after the program started; a failure is fatal",
            ),
            field("/hooks/poststart/*/args", "as given; the path alone if absent"),
            field("/hooks/poststart/*/env", "exactly this, nothing if absent"),
            field(
                "/hooks/poststart/*/timeout",
                "seconds, then the hook's process group is killed and the container too",
            ),
            field(
                "/hooks/poststop/*/path",
                "run by the caller of delete; a failure is warned about, the next one runs",
            ),
            field("/hooks/poststop/*/args", "as given; the path alone if absent"),
            field("/hooks/poststop/*/env", "exactly this, nothing if absent"),
            field(
                "/hooks/poststop/*/timeout",
                "seconds, then the hook's process group is killed, with a warning",
            ),
        ],
    },
    Chapter {
        title: "Namespaces and kernel settings",
        fields: &[
            field("/linux/namespaces/*/type", "all eight, each once; without a path a new one is made"),
            field(
                "/linux/namespaces/*/path",
                "joined instead; the kind of the namespace is checked by the kernel",
            ),
            field("/linux/uidMappings/*/containerID", "of a new user namespace"),
            field("/linux/uidMappings/*/hostID", "of a new user namespace"),
            field("/linux/uidMappings/*/size", "of a new user namespace; at most 340 mappings"),
            field("/linux/gidMappings/*/containerID", "of a new user namespace"),
            field("/linux/gidMappings/*/hostID", "of a new user namespace"),
            field("/linux/gidMappings/*/size", "of a new user namespace; at most 340 mappings"),
            field("/linux/timeOffsets/*/secs", "of a new time namespace; monotonic and boottime")
                .needs("refused: no time namespaces in this kernel"),
            field("/linux/timeOffsets/*/nanosecs", "of a new time namespace; below 1000000000")
                .needs("refused: no time namespaces in this kernel"),
            field(
                "/linux/netDevices/*/name",
                "the device moves into the network namespace with its addresses, under this name or its own",
            ),
            field(
                "/linux/sysctl",
                "only what belongs to a namespace of the container; written through a verified procfs",
            )
            .needs("refused: the kernel's error"),
            field("/linux/personality/domain", "LINUX or LINUX32").needs("refused: the kernel's error"),
            field("/linux/personality/flags", "warned about").no_effect("the specification names no flag"),
            field("/linux/memoryPolicy/mode", "of the container's process").since(
                "5.15 for MPOL_PREFERRED_MANY, 6.9 for MPOL_WEIGHTED_INTERLEAVE",
                "refused: the kernel's error",
            ),
            field("/linux/memoryPolicy/nodes", "a list of nodes; checked against the mode"),
            field("/linux/memoryPolicy/flags", "all three")
                .since("5.12 for MPOL_F_NUMA_BALANCING", "refused: the kernel's error"),
        ],
    },
    Chapter {
        title: "Devices",
        fields: &[
            field("/linux/devices/*/path", "any absolute path; what is there already must be the same node"),
            field("/linux/devices/*/type", "c, b, u and p; in a user namespace the host's node is bound"),
            field("/linux/devices/*/major", "0 to 4095; not of a fifo"),
            field("/linux/devices/*/minor", "0 to 1048575; not of a fifo"),
            field("/linux/devices/*/fileMode", "exactly, whatever the umask"),
            field("/linux/devices/*/uid", "the owner"),
            field("/linux/devices/*/gid", "the group"),
        ],
    },
    Chapter {
        title: "Cgroups",
        fields: &[
            field("/linux/cgroupsPath", "absolute below the hierarchy, or relative to the caller's cgroup"),
            field(
                "/linux/resources/devices/*/allow",
                "rules in order, the last match wins; the standard devices follow them",
            ),
            field("/linux/resources/devices/*/type", "a, b or c"),
            field("/linux/resources/devices/*/major", "any if absent or -1"),
            field("/linux/resources/devices/*/minor", "any if absent or -1"),
            field("/linux/resources/devices/*/access", "letters of rwm"),
            field("/linux/resources/memory/limit", "`memory.max`, v1 `memory.limit_in_bytes`")
                .needs(CONTROLLER),
            field("/linux/resources/memory/reservation", "`memory.low`, v1 `memory.soft_limit_in_bytes`")
                .needs(CONTROLLER),
            field(
                "/linux/resources/memory/swap",
                "`memory.swap.max` of the difference to the limit, v1 `memory.memsw.limit_in_bytes`",
            )
            .needs("refused where the kernel does not account for swap"),
            field("/linux/resources/memory/kernel", "warned about")
                .no_effect("the kernel gave these limits up"),
            field("/linux/resources/memory/kernelTCP", "warned about")
                .no_effect("the kernel gave these limits up"),
            field("/linux/resources/memory/swappiness", "v1 `memory.swappiness`").needs(V1_ONLY),
            field("/linux/resources/memory/disableOOMKiller", "v1 `memory.oom_control`").needs(V1_ONLY),
            field("/linux/resources/memory/useHierarchy", "v1 `memory.use_hierarchy`").needs(V1_ONLY),
            field("/linux/resources/memory/checkBeforeUpdate", "nothing at create").no_effect(UPDATE),
            field("/linux/resources/cpu/shares", "`cpu.weight` by the kernel's curve, v1 `cpu.shares`")
                .needs(CONTROLLER),
            field("/linux/resources/cpu/quota", "`cpu.max`, v1 `cpu.cfs_quota_us`").needs(CONTROLLER),
            field("/linux/resources/cpu/burst", "`cpu.max.burst`, v1 `cpu.cfs_burst_us`")
                .since("5.14", "refused: the kernel's error names the file"),
            field("/linux/resources/cpu/period", "`cpu.max`, v1 `cpu.cfs_period_us`").needs(CONTROLLER),
            field("/linux/resources/cpu/realtimeRuntime", "v1 `cpu.rt_runtime_us`").needs(V1_ONLY),
            field("/linux/resources/cpu/realtimePeriod", "v1 `cpu.rt_period_us`").needs(V1_ONLY),
            field("/linux/resources/cpu/cpus", "`cpuset.cpus`").needs(CONTROLLER),
            field("/linux/resources/cpu/mems", "`cpuset.mems`").needs(CONTROLLER),
            field("/linux/resources/cpu/idle", "`cpu.idle`; the weight is not written then")
                .since("5.15", "refused: the kernel's error names the file"),
            field("/linux/resources/pids/limit", "`pids.max`; absent is no limit, 0 is 0").needs(CONTROLLER),
            field("/linux/resources/blockIO/weight", "`io.bfq.weight` or `io.weight`, v1 `blkio.weight`")
                .needs(BFQ),
            field("/linux/resources/blockIO/leafWeight", "v1 `blkio.leaf_weight`").needs(V1_ONLY),
            field("/linux/resources/blockIO/weightDevice/*/major", "the device").needs(BFQ),
            field("/linux/resources/blockIO/weightDevice/*/minor", "the device").needs(BFQ),
            field(
                "/linux/resources/blockIO/weightDevice/*/weight",
                "`io.bfq.weight`, v1 `blkio.weight_device`",
            )
            .needs(BFQ),
            field("/linux/resources/blockIO/weightDevice/*/leafWeight", "v1 `blkio.leaf_weight_device`")
                .needs(V1_ONLY),
            field("/linux/resources/blockIO/throttleReadBpsDevice/*/major", "the device").needs(CONTROLLER),
            field("/linux/resources/blockIO/throttleReadBpsDevice/*/minor", "the device").needs(CONTROLLER),
            field(
                "/linux/resources/blockIO/throttleReadBpsDevice/*/rate",
                "`io.max` rbps, v1 `blkio.throttle.read_bps_device`",
            )
            .needs(CONTROLLER),
            field("/linux/resources/blockIO/throttleWriteBpsDevice/*/major", "the device").needs(CONTROLLER),
            field("/linux/resources/blockIO/throttleWriteBpsDevice/*/minor", "the device").needs(CONTROLLER),
            field(
                "/linux/resources/blockIO/throttleWriteBpsDevice/*/rate",
                "`io.max` wbps, v1 `blkio.throttle.write_bps_device`",
            )
            .needs(CONTROLLER),
            field("/linux/resources/blockIO/throttleReadIOPSDevice/*/major", "the device").needs(CONTROLLER),
            field("/linux/resources/blockIO/throttleReadIOPSDevice/*/minor", "the device").needs(CONTROLLER),
            field(
                "/linux/resources/blockIO/throttleReadIOPSDevice/*/rate",
                "`io.max` riops, v1 `blkio.throttle.read_iops_device`",
            )
            .needs(CONTROLLER),
            field("/linux/resources/blockIO/throttleWriteIOPSDevice/*/major", "the device").needs(CONTROLLER),
            field("/linux/resources/blockIO/throttleWriteIOPSDevice/*/minor", "the device").needs(CONTROLLER),
            field(
                "/linux/resources/blockIO/throttleWriteIOPSDevice/*/rate",
                "`io.max` wiops, v1 `blkio.throttle.write_iops_device`",
            )
            .needs(CONTROLLER),
            field("/linux/resources/hugepageLimits/*/pageSize", "a size that the machine has")
                .needs(CONTROLLER),
            field(
                "/linux/resources/hugepageLimits/*/limit",
                "`hugetlb.SIZE.max` and `.rsvd.max`, v1 `limit_in_bytes`",
            )
            .needs(CONTROLLER),
            field("/linux/resources/network/classID", "v1 `net_cls.classid`").needs(V1_ONLY),
            field("/linux/resources/network/priorities/*/name", "v1 `net_prio.ifpriomap`").needs(V1_ONLY),
            field("/linux/resources/network/priorities/*/priority", "v1 `net_prio.ifpriomap`").needs(V1_ONLY),
            field("/linux/resources/rdma/*/hcaHandles", "`rdma.max`").needs(CONTROLLER),
            field("/linux/resources/rdma/*/hcaObjects", "`rdma.max`").needs(CONTROLLER),
            field("/linux/resources/unified", "each file of v2 as named, after all others")
                .needs("refused on v1, and where the file is missing"),
        ],
    },
    Chapter {
        title: "Intel RDT",
        fields: &[
            field("/linux/intelRdt/closID", "the group; one of the container's own if absent").needs(RDT),
            field("/linux/intelRdt/schemata", "written after the two below").needs(RDT),
            field("/linux/intelRdt/l3CacheSchema", "written to `schemata`").needs(RDT),
            field("/linux/intelRdt/memBwSchema", "written to `schemata`").needs(RDT),
            field("/linux/intelRdt/enableMonitoring", "a monitoring group of the container's own").needs(RDT),
        ],
    },
    Chapter {
        title: "Seccomp",
        fields: &[
            field("/linux/seccomp/defaultAction", "nine actions; NOTIFY is refused as the default"),
            field("/linux/seccomp/defaultErrnoRet", "EPERM if absent; refused for an action that takes none"),
            field("/linux/seccomp/architectures", "the native one is always there"),
            field("/linux/seccomp/flags", "SPEC_ALLOW if absent, none if empty")
                .since("5.19 for WAIT_KILLABLE_RECV", "refused: the flag is named"),
            field(
                "/linux/seccomp/listenerPath",
                "the socket that gets the descriptor of the filter before start",
            ),
            field("/linux/seccomp/listenerMetadata", "sent with the descriptor"),
            field("/linux/seccomp/syscalls/*/names", "a name that the architecture lacks is ignored"),
            field("/linux/seccomp/syscalls/*/action", "nine actions"),
            field("/linux/seccomp/syscalls/*/errnoRet", "of this rule; the kernel's largest is 4095"),
            field("/linux/seccomp/syscalls/*/args/*/index", "0 to 5"),
            field("/linux/seccomp/syscalls/*/args/*/value", "64 bits"),
            field("/linux/seccomp/syscalls/*/args/*/valueTwo", "of SCMP_CMP_MASKED_EQ"),
            field("/linux/seccomp/syscalls/*/args/*/op", "seven operators"),
        ],
    },
    Chapter {
        title: "Of other platforms, and names that no version has any more",
        fields: &[
            field("/process/commandLine", "ignored").no_effect(FOREIGN),
            field("/process/user/username", "ignored").no_effect(FOREIGN),
            field("/solaris", "ignored").no_effect(FOREIGN),
            field("/windows", "ignored").no_effect(FOREIGN),
            field("/vm", "ignored").no_effect(FOREIGN),
            field("/zos", "ignored").no_effect(FOREIGN),
            field("/uidMappings", "ignored")
                .no_effect("a name that the types read and no version of the specification has"),
            field("/gidMappings", "ignored")
                .no_effect("a name that the types read and no version of the specification has"),
            field("/linux/intelRdt/enableCmt", "ignored")
                .no_effect("gone since runtime-spec 1.3; enableMonitoring follows it"),
            field("/linux/intelRdt/enableMbm", "ignored")
                .no_effect("gone since runtime-spec 1.3; enableMonitoring follows it"),
        ],
    },
];
