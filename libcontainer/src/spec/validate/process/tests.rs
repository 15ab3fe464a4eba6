use serde_json::json;

use super::super::tests::{accepted, invalid};
use crate::spec::tests::{load, set, with};

#[test]
fn a_terminal_needs_a_mount_namespace_and_a_size_that_fits() {
    accepted("/process/terminal", &[json!(true), json!(false)]);
    let shared = [
        ("/linux", json!({})),
        ("/mounts", json!([])),
        ("/root/readonly", json!(false)),
        ("/hostname", json!("")),
    ];
    let with_terminal: Vec<_> = shared.iter().cloned().chain([("/process/terminal", json!(true))]).collect();
    invalid(&[(&with_terminal, "/process/terminal", "a terminal needs a mount namespace")]);
    let mut mounted = with("/process/terminal", json!(true));
    for (place, value) in shared.iter().filter(|(place, _)| *place != "/mounts") {
        set(&mut mounted, place, value.clone());
    }
    load(&mounted).unwrap();
    let mut plain = with("/process/terminal", json!(false));
    shared.iter().for_each(|(place, value)| set(&mut plain, place, value.clone()));
    load(&plain).unwrap();
    for key in ["height", "width"] {
        let mut size = json!({"height": 24, "width": 80});
        size[key] = json!(65_536);
        let pointer = format!("/process/consoleSize/{key}");
        let words = format!("console {key} 65536 is larger than 65535");
        let changes = [("/process/terminal", json!(true)), ("/process/consoleSize", size.clone())];
        invalid(&[(&changes, &pointer, &words)]);
        // Without a terminal the specification ignores the size.
        load(&with("/process/consoleSize", size.clone())).unwrap();
        size[key] = json!(-1);
        invalid(&[(&[("/process/consoleSize", size)], &pointer, "invalid value")]);
    }
    invalid(&[(&[("/process/terminal", json!("yes"))], "/process/terminal", "invalid type")]);
    accepted("/process/consoleSize", &[json!({"height": 24}), json!({})]);
}

#[test]
fn groups_beside_those_that_are_kept_are_warned_about() {
    let mut document = with("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [5]}));
    assert!(load(&document).unwrap().warnings().is_empty());
    set(&mut document, "/annotations", json!({"run.oci.keep_original_groups": "1"}));
    let spec = load(&document).unwrap();
    assert_eq!(spec.warnings()[0].pointer, "/process/user/additionalGids");
    set(&mut document, "/annotations", json!({"run.oci.keep_original_groups": "0"}));
    assert!(load(&document).unwrap().warnings().is_empty());
}
