//! The structs of the header have the layout of the source, as a C compiler sees it; the constants too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

#[path = "../src/abi.rs"]
mod abi;

/// Lines of C that print what the compiler makes of a struct, and what we make of it.
macro_rules! layout {
    ($c:ident, $rust:ident, $($name:ident { $($member:ident),* $(,)? })*) => {$(
        writeln!($c, "printf(\"{0} %zu\\n\", sizeof(struct {0}));", stringify!($name)).unwrap();
        writeln!($rust, "{} {}", stringify!($name), size_of::<abi::$name>()).unwrap();
        $(
            writeln!($c, "printf(\"{0}.{1} %zu\\n\", offsetof(struct {0}, {1}));", stringify!($name), stringify!($member)).unwrap();
            writeln!($rust, "{}.{} {}", stringify!($name), stringify!($member), std::mem::offset_of!(abi::$name, $member)).unwrap();
        )*
    )*};
}

#[test]
fn every_struct_has_one_layout_and_no_gap() {
    let (mut c, mut rust) = (String::new(), String::new());
    layout!(c, rust,
        teu_log_record { size, level, reserved0, time_ns, target, message }
        teu_options { size, flags, root, log_fn, log_data, log_destroy, log_level, reserved0, default_timeout_ns }
        teu_call { size, timeout_ns, cancel }
        teu_fd_map { target, fd }
        teu_exit { size, code, signal, status, reserved0 }
        teu_create_options {
            size, flags, call, bundle, bundle_fd, console_socket_fd, pidfd_socket_fd, reserved0, config_json, config_len, fds, n_fds,
            console_socket, pidfd_socket, pid_file, env, n_env,
        }
        teu_exec_options {
            size, flags, call, process_json, process_len, argv, argc, env, n_env, cwd, fds, n_fds, console_socket_fd, pidfd_socket_fd,
            console_socket, pidfd_socket, pid_file, cgroup, cgroups, n_cgroups,
        }
        teu_stats { size, valid, cpu_usage_ns, cpu_user_ns, cpu_system_ns, cpu_periods, cpu_throttled_periods, cpu_throttled_ns, memory_usage, memory_limit, memory_max, memory_failures, swap_usage, swap_limit, memory_cache, oom, oom_kill, pids_current, pids_limit, io_read_bytes, io_write_bytes, io_reads, io_writes, cpu_some_us, memory_some_us, memory_full_us, io_some_us, io_full_us }
        teu_update_options { size, flags, call, resources_json, resources_len, l3_cache_schema, mem_bw_schema }
        teu_pressure { resource, full, stall_ns, window_ns }
        teu_event_options { size, flags, pressure, n_pressure }
        teu_event { size, detail, value }
        teu_state { size, status, pid, created_ns }
    );
    let program = format!(
        "#include \"teu.h\"\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {{\n{c}return 0;\n}}\n"
    );
    assert_eq!(ran("layout", &program), rust);
    // Without a gap, the sum of the parts is the whole: each member begins where the one before it ends.
    assert!(size_of::<abi::teu_create_options>() % 8 == 0);
}

#[test]
fn constants_are_the_same_numbers() {
    use abi::{teu_code, teu_create_flag, teu_exec_flag, teu_status};
    let wanted = [
        ("TEU_EINVAL", teu_code::TEU_EINVAL as i64),
        ("TEU_E2BIG", teu_code::TEU_E2BIG as i64),
        ("TEU_EINTERNAL", teu_code::TEU_EINTERNAL as i64),
        ("TEU_STOPPED", teu_status::TEU_STOPPED as i64),
        ("TEU_PIDFD_SOCKET_FD", teu_create_flag::TEU_PIDFD_SOCKET_FD as i64),
        ("TEU_EXEC_IGNORE_PAUSED", teu_exec_flag::TEU_EXEC_IGNORE_PAUSED as i64),
    ];
    let lines: String =
        wanted.iter().map(|(name, _)| format!("printf(\"{name} %lld\\n\", (long long){name});\n")).collect();
    let program =
        format!("#include \"teu.h\"\n#include <stdio.h>\nint main(void) {{\n{lines}return 0;\n}}\n");
    let expected: String = wanted.iter().map(|(name, number)| format!("{name} {number}\n")).collect();
    assert_eq!(ran("constants", &program), expected);
}

fn ran(name: &str, program: &str) -> String {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let source = out.with_extension("c");
    std::fs::write(&source, program).unwrap();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include");
    let compiled = Command::new("cc").arg("-I").arg(include).arg(&source).arg("-o").arg(&out).status();
    assert!(compiled.expect("a C compiler is needed: cc").success());
    String::from_utf8(Command::new(out).output().unwrap().stdout).unwrap()
}
