//! Roles: each route with none, with too low ones and with the right one

use pptp_connector::{
    api::{Door, ReloadOptions},
    settings::Role,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::world::{Reply, Running, World, site_with};

/// The token of a name, and its lines
fn token(name: &str, role: &str, more: &str) -> String {
    let hash = Sha256::digest(secret(name).as_bytes());
    let hash = hash.iter().fold(String::new(), |text, octet| format!("{text}{octet:02x}"));
    format!("[[api.token]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nrole = \"{role}\"\n{more}\n")
}

fn secret(name: &str) -> String {
    format!("pptp_secret-of-{name}")
}

const LISTEN: &str = "127.0.0.1:9099";

/// A configuration with a token for each role, and one for the sites of Berlin
fn lines() -> String {
    let roles = Role::ALL.map(|role| token(role.name(), role.name(), ""));
    let some = "sites = [\"@city=Berlin\"]\ntargets = [\"192.168.1.3:80\"]";
    format!(
        "[[api]]\nlisten = \"{LISTEN}\"\n{}{}{}{}",
        roles.concat(),
        token("berlin", "admin", some),
        token("over", "admin", "expires = \"2020-01-01\""),
        token("reach-berlin", "reach", some),
    )
}

async fn ask(running: &Running, door: &Door, who: &str, method: &str, path: &str) -> Reply {
    send(running, door, who, method, path, "").await
}

async fn send(
    running: &Running,
    door: &Door,
    who: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Reply {
    let bearer = format!("Bearer {}", secret(who));
    let headers = [("authorization", bearer.as_str())];
    let headers = if who.is_empty() { &[][..] } else { &headers[..] };
    running.send(Some(door), method, path, headers, body).await
}

/// The operations of the document: method, path and role
fn operations(document: &Value) -> Vec<(String, String, Option<Role>)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let role = operation["x-role"].as_str();
            let role = role.map(|name| *Role::ALL.iter().find(|it| it.name() == name).unwrap());
            all.push((method.to_uppercase(), path.clone(), role));
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn each_route_of_the_document_wants_its_role_and_there_is_none_beside() {
    let world = World::new();
    world.write(&lines());
    let running = world.start().await;
    let door = running.door(LISTEN);
    let document = running.ask("GET", "/v1/openapi.json").await.json();
    let operations = operations(&document);
    assert!(operations.len() >= 20, "{operations:?}");
    let methods = ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"];
    for (method, path, role) in &operations {
        let asked = path.replace("{site}", "b1");
        let status = async |who: &str| ask(&running, &door, who, method, &asked).await;
        let Some(role) = role else {
            assert_eq!(status("").await.status, 200, "{method} {path} is open");
            continue;
        };
        for who in ["", "nobody", "over"] {
            let reply = status(who).await;
            assert_eq!(reply.problem(), (401, "unauthorized".into()), "{who} {method} {path}");
            assert!(reply.head.contains("www-authenticate: bearer"));
            assert!(reply.body.contains(&format!("`{role}`")), "{reply:?}");
        }
        for has in Role::ALL {
            let reply = status(has.name()).await;
            let told = format!("this wants the role `{role}`");
            if has.includes(*role) {
                assert!(!matches!(reply.status, 401 | 403), "{has} {method} {path}: {reply:?}");
            } else {
                assert_eq!(reply.problem(), (403, "forbidden".into()), "{has} {method} {path}");
                assert!(reply.body.contains(&told), "{reply:?}");
            }
        }
        for other in methods {
            let is_there = operations.iter().any(|(it, at, _)| it == other && at == path);
            // HEAD is answered as GET, by the rules of HTTP
            if !is_there && other != "HEAD" {
                let reply = ask(&running, &door, "admin", other, &asked).await;
                assert_eq!(reply.status, 405, "{other} {path}");
            }
        }
    }
    for path in ["/", "/v1", "/v1/config", "/v1/sites/", "/v1/sites/b1/x", "/v2/status"] {
        assert_eq!(ask(&running, &door, "admin", "GET", path).await.status, 404, "{path}");
    }
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_document_refers_to_schemas_that_are_there_and_to_the_keys_of_a_file() {
    let world = World::new();
    let running = world.start().await;
    let text = running.ask("GET", "/v1/openapi.json").await.body;
    let document: Value = serde_json::from_str(&text).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut count = 0;
    for part in text.split("\"#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
        count += 1;
    }
    assert!(count > 20, "{count}");
    assert!(schemas["Site"]["properties"]["connect_timeout"].is_object());
    assert!(schemas["SiteView"]["properties"]["state"].is_object());
    // what is answered has the members that the document tells
    let status = running.ask("GET", "/v1/status").await.json();
    let told = schemas["StatusView"]["properties"].as_object().unwrap();
    for member in status.as_object().unwrap().keys() {
        assert!(told.contains_key(member), "{member}");
    }
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_of_some_sites_sees_and_changes_these_alone() {
    let world = World::new();
    world.write(&lines());
    let running = world.start().await;
    let door = running.door(LISTEN);
    let in_city = |city: &str| {
        site_with(&json!({ "connect": "manual", "labels": { "city": city } })).to_string()
    };
    let put = async |path: &str, city: &str| {
        send(&running, &door, "berlin", "PUT", path, &in_city(city)).await
    };
    running.put("/v1/sites/b1", &serde_json::from_str(&in_city("Berlin")).unwrap()).await;
    running.put("/v1/sites/k1", &serde_json::from_str(&in_city("Bonn")).unwrap()).await;
    let list = ask(&running, &door, "berlin", "GET", "/v1/sites").await.json();
    assert_eq!(list["sites"].as_array().unwrap().len(), 1);
    let status = ask(&running, &door, "berlin", "GET", "/v1/status").await.json();
    assert_eq!(status["sites"], 1);
    for (method, path) in [
        ("GET", "/v1/sites/k1"),
        ("POST", "/v1/sites/k1/up"),
        ("GET", "/v1/sites/k1/flight-record"),
        ("DELETE", "/v1/sites/k1"),
    ] {
        let reply = ask(&running, &door, "berlin", method, path).await;
        assert_eq!(reply.problem(), (404, "no-such-site".into()), "{method} {path}");
    }
    assert_eq!(put("/v1/sites/b2", "Berlin").await.status, 201);
    assert_eq!(put("/v1/sites/k1", "Berlin").await.problem(), (403, "forbidden".into()));
    assert_eq!(put("/v1/sites/b1", "Bonn").await.problem(), (403, "forbidden".into()));
    let reload = ask(&running, &door, "berlin", "POST", "/v1/reload").await;
    assert_eq!(reload.problem(), (403, "forbidden".into()));
    assert!(reload.body.contains("concerns all of them"), "{reload:?}");
    // its set is that of its own sites: the one in Bonn stays
    let bearer = format!("Bearer {}", secret("berlin"));
    let version = running.version().await;
    let headers = [("authorization", bearer.as_str()), ("if-match", version.as_str())];
    let reply = running.send(Some(&door), "PUT", "/v1/sites", &headers, "{\"sites\":{}}").await;
    assert_eq!(reply.json()["changes"]["removed"], json!(["b1", "b2"]), "{reply:?}");
    assert!(running.daemon.fleet().site("k1").is_some());
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn only_targets_of_the_token_are_reached() {
    let world = World::new();
    world.write(&lines());
    let running = world.start().await;
    let door = running.door(LISTEN);
    let berlin = site_with(&json!({ "labels": { "city": "Berlin" } }));
    running.put("/v1/sites/b1", &berlin).await;
    running.until("b1", "up").await;
    let bearer = format!("Bearer {}", secret("reach-berlin"));
    let headers =
        [("authorization", bearer.as_str()), ("connection", "upgrade"), ("upgrade", "tcp")];
    for (to, status) in [("192.168.1.3:80", 101), ("192.168.1.3:81", 403), ("192.168.1.4:80", 403)]
    {
        let path = format!("/v1/sites/b1/tcp?to={to}");
        let reply = running.send(Some(&door), "GET", &path, &headers, "").await;
        assert_eq!(reply.status, status, "{to}: {reply:?}");
    }
    for (to, status) in [("192.168.1.3", 200), ("192.168.1.4", 403)] {
        let path = format!("/v1/sites/b1/ping?count=1&to={to}");
        let reply = ask(&running, &door, "reach-berlin", "POST", &path).await;
        assert_eq!(reply.status, status, "{to}: {reply:?}");
    }
    let path = "/v1/sites/b1/doctor?target=tcp:192.168.1.3:80";
    assert_eq!(ask(&running, &door, "operate", "POST", path).await.status, 403);
    assert_eq!(ask(&running, &door, "admin", "POST", path).await.status, 200);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn another_host_is_refused_and_a_token_that_is_gone_counts_no_more_after_a_reload() {
    let world = World::new();
    world.write(&lines());
    let running = world.start().await;
    let door = running.door(LISTEN);
    let bearer = format!("Bearer {}", secret("admin"));
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1:9099", 200),
        ("evil.example", 421),
        ("localhost.evil.example:9099", 421),
    ] {
        let headers = [("host", host), ("authorization", bearer.as_str())];
        let reply = running.send(Some(&door), "GET", "/v1/status", &headers, "").await;
        assert_eq!(reply.status, status, "{host}");
    }
    world.write(&format!("[[api]]\nlisten = \"{LISTEN}\"\n{}", token("other", "read", "")));
    running.daemon.reload(ReloadOptions::default()).await.unwrap();
    assert_eq!(ask(&running, &door, "admin", "GET", "/v1/status").await.status, 401);
    assert_eq!(ask(&running, &door, "other", "GET", "/v1/status").await.status, 200);
    world.write("");
    let report = running.daemon.reload(ReloadOptions::default()).await.unwrap();
    assert!(report.warnings.iter().any(|it| it.contains("places of [[api]]")), "{report:?}");
    assert_eq!(ask(&running, &door, "other", "GET", "/v1/status").await.status, 401);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_may_open_a_socket_has_its_role() {
    let world = World::new();
    let path = world.folder.join("operate.sock");
    world.write(&format!(
        "[[api]]\nunix = \"{}\"\nmode = \"0660\"\nrole = \"operate\"\n",
        path.display()
    ));
    let running = world.start().await;
    let door = running.door(&format!("unix:{}", path.display()));
    running.put("/v1/sites/b1", &site_with(&json!({ "connect": "manual" }))).await;
    for (method, path, status) in [
        ("GET", "/v1/status", 200),
        ("POST", "/v1/sites/b1/up", 202),
        ("DELETE", "/v1/sites/b1", 403),
        ("POST", "/v1/sites/b1/ping?to=192.168.1.3", 403),
        ("POST", "/v1/reload", 403),
    ] {
        let reply = running.send(Some(&door), method, path, &[], "").await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
    }
    // another mode wants a restart; another role counts at once
    let other =
        format!("[[api]]\nunix = \"{}\"\nmode = \"0600\"\nrole = \"read\"\n", path.display());
    world.write(&other);
    let report = running.daemon.reload(ReloadOptions::default()).await.unwrap();
    assert!(report.warnings.iter().any(|it| it.contains("places of [[api]]")), "{report:?}");
    for (method, path, status) in [("GET", "/v1/status", 200), ("POST", "/v1/sites/b1/up", 403)] {
        let reply = running.send(Some(&door), method, path, &[], "").await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
    }
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_listener_whose_places_are_taken_leaves_the_others_alone() {
    let world = World::new();
    world.write(&lines());
    let running = world.start().await;
    let door = running.door(LISTEN);
    let silent: Vec<_> = (0..32)
        .map(|_| {
            let (client, server) = tokio::io::duplex(1024);
            door.accept(server, pptp_connector::api::Peer::default());
            client
        })
        .collect();
    assert_eq!(ask(&running, &door, "admin", "GET", "/v1/status").await.status, 503);
    assert_eq!(running.ask("GET", "/v1/status").await.status, 200);
    drop(silent);
    running.end().await;
}
