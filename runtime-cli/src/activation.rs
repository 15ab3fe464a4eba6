//! Socket activation: descriptors from 3 on that a service manager passes, counted by `LISTEN_FDS` and meant for the process whose
//! pid is `LISTEN_PID`. The container's program gets them with both variables, as process 1.

use serde_json::Value;

/// How many descriptors were passed to this process.
pub fn count() -> u16 {
    let variable = |name: &str| std::env::var(name).ok();
    let count = variable("LISTEN_FDS").and_then(|count| count.parse().ok());
    count.filter(|_| variable("LISTEN_PID") == Some(std::process::id().to_string())).unwrap_or(0)
}

/// Puts the variables into the environment of the program that a configuration names.
pub fn announce(document: &mut Value, count: u16) {
    let env = document.pointer_mut("/process").and_then(environment);
    if let Some(env) = env.filter(|_| count > 0) {
        env.push(format!("LISTEN_FDS={count}").into());
        env.push("LISTEN_PID=1".into());
    }
}

fn environment(process: &mut Value) -> Option<&mut Vec<Value>> {
    let env = process.as_object_mut()?.entry("env").or_insert_with(|| Value::Array(Vec::new()));
    env.as_array_mut()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::environment;

    #[test]
    fn the_environment_is_made_if_the_configuration_has_none() {
        let mut process = json!({"args": ["x"]});
        environment(&mut process).unwrap().push("A=1".into());
        environment(&mut process).unwrap().push("B=2".into());
        assert_eq!(process, json!({"args": ["x"], "env": ["A=1", "B=2"]}));
    }
}
