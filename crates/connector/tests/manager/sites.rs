//! Sites that are made through the API

use std::{fs, os::unix::fs::PermissionsExt};

use pptp_connector::{
    api::{ReloadError, ReloadOptions},
    daemon::Start,
};
use serde_json::json;

use crate::world::{World, site, site_with};

#[tokio::test(start_paused = true)]
async fn a_site_is_made_changed_and_removed_and_is_there_after_a_restart() {
    let world = World::new();
    let running = world.start().await;
    let made = running.put("/v1/sites/b1", &site()).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json()["changes"]["added"], json!(["b1"]));
    assert_eq!(made.json()["site"]["owner"], "api");
    assert!(made.head.contains(&format!("etag: \"{}\"", running.version().await)));
    running.until("b1", "up").await;
    let same = running.put("/v1/sites/b1", &site()).await;
    assert_eq!((same.status, &same.json()["changes"]["changed"]), (200, &json!([])));
    assert_eq!(same.json()["version"], made.json()["version"]);
    let changed = site_with(&json!({ "labels": { "city": "Berlin" } }));
    let changed = running.put("/v1/sites/b1", &changed).await;
    assert_eq!((changed.status, &changed.json()["changes"]["changed"]), (200, &json!(["b1"])));
    let redialled = running.put("/v1/sites/b1", &site_with(&json!({ "mru": 1300 }))).await;
    assert_eq!(redialled.json()["changes"]["redialled"][0]["options"], json!(["mru"]));
    let mode = fs::metadata(world.state("sites/b1.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let version = running.version().await;
    running.end().await;

    let running = world.start().await;
    assert_eq!(running.version().await, version);
    running.until("b1", "up").await;
    let removed = running.ask("DELETE", "/v1/sites/b1").await;
    assert_eq!((removed.status, &removed.json()["changes"]["removed"]), (200, &json!(["b1"])));
    assert_eq!(running.ask("GET", "/v1/sites/b1").await.status, 404);
    assert_eq!(running.ask("DELETE", "/v1/sites/b1").await.problem(), (404, "no-such-site".into()));
    running.end().await;
    let running = world.start().await;
    assert!(running.daemon.fleet().sites().is_empty());
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_site_has_one_owner_a_file_or_the_api() {
    let world = World::new();
    let of_file = "[site.f1]\nserver = \"x\"\nuser = \"u\"\npassword = { env = \"P\" }\nconnect = \"manual\"\n";
    world.write(of_file);
    let running = world.start().await;
    for reply in [
        running.put("/v1/sites/f1", &site()).await,
        running.ask("DELETE", "/v1/sites/f1").await,
        running.put_all("", &running.version().await, &json!({ "f1": site() })).await,
    ] {
        assert_eq!(reply.problem(), (409, "owner".into()));
        assert!(reply.json()["detail"].as_str().unwrap().contains("connector.toml:2"), "{reply:?}");
    }
    assert_eq!(running.put("/v1/sites/b1", &site()).await.status, 201);
    world.write(&format!("{of_file}{}", of_file.replace("f1", "b1")));
    let Err(ReloadError::Problems { problems, .. }) =
        running.daemon.reload(ReloadOptions::default()).await
    else {
        panic!("it is refused")
    };
    assert_eq!(problems[0].line, Some(7));
    let told = format!("{} {:?}", problems[0].message, problems[0].help);
    assert!(told.contains("made through the API by root"), "{told}");
    assert!(told.contains("DELETE /v1/sites/b1"), "{told}");
    running.until("b1", "up").await;
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn all_problems_are_told_with_their_places_in_the_words_of_a_file() {
    let world = World::new();
    let running = world.start().await;
    let wrong = json!({
        "servr": "x", "user": 7, "password": "p", "mru": 99_999,
        "forward": [{ "to": "tcp:knx:80", "listen": "127.0.0.1:81" }, { "to": "icmp:x" }],
        "template": "none",
    });
    let reply = running.put("/v1/sites/b1", &wrong).await;
    assert_eq!(reply.problem(), (422, "configuration".into()));
    let errors = reply.errors();
    for (pointer, message) in [
        ("/servr", "`servr` is no key here"),
        ("/user", "a text is wanted, not an integer"),
        ("/mru", "a number from 576 to 1500 is wanted"),
        ("/template", "there is no template `none`"),
        ("/forward/1/to", "wanted, not `icmp:x`"),
        ("", "missing: `server`"),
    ] {
        let is_it = |(at, told): &(String, String)| at == pointer && told.contains(message);
        assert!(errors.iter().any(is_it), "{pointer} {message}: {errors:?}");
    }
    assert!(!world.state("sites").exists(), "nothing is written");
    for (body, status) in
        [("", 400), ("[]", 400), ("{\"a\":1,\"a\":2}", 400), ("{\"mru\":null}", 422)]
    {
        let reply = running.send(None, "PUT", "/v1/sites/b1", &[], body).await;
        assert_eq!(reply.status, status, "{body}: {reply:?}");
    }
    for name in ["B1", "a_b", "..%2F..%2Fx", "%00", &"a".repeat(64)] {
        let reply = running.put(&format!("/v1/sites/{name}"), &site()).await;
        assert_eq!(reply.problem(), (422, "name".into()), "{name}");
    }
    let long = format!("{{\"user\": \"{}\"}}", "a".repeat(70_000));
    let reply = running.send(None, "PUT", "/v1/sites/b1", &[], &long).await;
    assert_eq!(reply.problem(), (413, "too-long".into()));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_file_bounds_what_may_be_made() {
    let world = World::new();
    let weak = "[template.weak]\ninsecure = [\"mschap-v1\"]\n\
                [template.secret]\npassword = { file = \"connector.toml\" }\n";
    world.write(weak);
    let running = world.start().await;
    let forward = |listen: serde_json::Value| json!({ "forward": [{ "to": "tcp:192.168.1.3:80", "listen": listen, "clients": ["10.0.0.0/8"] }] });
    for (more, pointer, key) in [
        (forward(json!("0.0.0.0:8080")), "/forward/0/listen", "listen"),
        (json!({ "address": "10.0.0.1" }), "/address", "listen"),
        (json!({ "insecure": ["pap", "no-encryption"] }), "/insecure", "insecure"),
        (
            forward(json!({ "unix": "/run/x.sock" })),
            "/forward/0/listen",
            "only a file may name paths",
        ),
        (json!({ "password": { "file": "key" } }), "/password", "reads no file"),
        (json!({ "password": { "env": "HOME" } }), "/password", "reads no file"),
        (json!({ "password": { "credential": "b18" } }), "/password", "reads no file"),
    ] {
        let reply = running.put("/v1/sites/b1", &site_with(&more)).await;
        assert_eq!(reply.status, 422, "{more}: {reply:?}");
        let errors = reply.json()["errors"].to_string();
        assert!(reply.errors().iter().any(|(at, _)| at == pointer), "{pointer}: {errors}");
        assert!(errors.contains(key), "{key}: {errors}");
    }
    // the secret of the file would go to the caller's server
    let reply = running
        .put("/v1/sites/b1", &json!({ "server": "evil", "user": "u", "template": "secret" }))
        .await;
    assert_eq!(reply.status, 422);
    assert!(reply.body.contains("is its own, and none of the file"), "{reply:?}");
    // what the owner of the file has written is no matter of the bounds
    let reply = running.put("/v1/sites/b1", &site_with(&json!({ "template": "weak" }))).await;
    assert_eq!(reply.status, 201, "{reply:?}");

    world.write(&format!("[api_sites]\nservers = [\"*.example.net\"]\n{weak}"));
    let Err(ReloadError::Problems { problems, .. }) =
        running.daemon.reload(ReloadOptions::default()).await
    else {
        panic!("a site that is there is out of the bounds")
    };
    assert!(problems[0].file.as_ref().unwrap().ends_with("sites/b1.toml"), "{problems:?}");
    assert!(problems[0].help.as_ref().unwrap().contains("`servers` of [api_sites]"));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_listener_in_the_way_is_the_problem_of_who_asks_and_not_of_who_is_there() {
    let world = World::new();
    world.write("[site.z1]\nserver = \"x\"\nuser = \"u\"\npassword = { env = \"P\" }\nconnect = \"manual\"\n\
                 forward = [{ to = \"tcp:knx:80\", listen = \"127.0.0.1:8080\" }]\n\
                 [[proxy]]\nsocks = \"127.0.0.1:1080\"\n");
    let running = world.start().await;
    for port in [8080, 1080] {
        let forward =
            json!({ "forward": [{ "to": "tcp:knx:80", "listen": format!("127.0.0.1:{port}") }] });
        let reply = running.put("/v1/sites/a1", &site_with(&forward)).await;
        assert_eq!(reply.status, 422);
        assert_eq!(reply.errors()[0].0, "/forward/0/listen", "{reply:?}");
        assert!(reply.body.contains("is taken by another listener"));
    }
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_set_is_changed_by_who_knows_its_version_and_names_mass_removals() {
    let world = World::new();
    let running = world.start().await;
    let many = |count: usize| -> serde_json::Value {
        (0..count)
            .map(|number| (format!("b{number}"), site_with(&json!({ "connect": "manual" }))))
            .collect()
    };
    let empty = running.version().await;
    let missing = running.put("/v1/sites", &json!({ "sites": many(1) })).await;
    assert_eq!(missing.problem(), (428, "no-version".into()));
    let dry = running.put_all("?dry_run=true", &empty, &many(30)).await;
    assert_eq!(dry.json()["changes"]["added"].as_array().unwrap().len(), 30);
    assert_eq!(running.version().await, empty);
    let made = running.put_all("", &empty, &many(30)).await;
    assert_eq!(made.status, 200, "{made:?}");
    let stale = running.put_all("", &empty, &many(31)).await;
    assert_eq!(stale.problem(), (412, "version".into()));
    let version = running.version().await;
    assert_eq!(made.json()["version"], version);
    let again = running.put_all("", &format!("\"{version}\""), &many(30)).await;
    assert_eq!(again.json()["version"], version, "nothing has changed");
    let gone = running.put_all("", &version, &json!({})).await;
    assert_eq!(gone.problem(), (409, "mass-change".into()));
    assert!(gone.json()["detail"].as_str().unwrap().contains("30 of 30 sites"));
    assert_eq!(running.put_all("?removes=29", &version, &json!({})).await.status, 409);
    let some = running.put_all("", &version, &many(20)).await;
    assert_eq!(some.json()["changes"]["removed"].as_array().unwrap().len(), 10);
    running.end().await;
    let running = world.start().await;
    assert_eq!(running.daemon.fleet().sites().len(), 20);
    let version = running.version().await;
    let gone = running.put_all("?removes=20", &version, &json!({})).await;
    assert_eq!(gone.json()["changes"]["removed"].as_array().unwrap().len(), 20);
    let wrong = running.put_all("", "x", &json!({})).await;
    assert_eq!(wrong.problem(), (400, "bad-request".into()));
    running.end().await;
}

#[tokio::test]
async fn the_port_that_was_chosen_is_told_at_once_and_bound_again_after_a_restart() {
    let world = World::new();
    let running = world.start().await;
    let forwards = json!({ "connect": "manual", "forward": [
        { "to": "tcp:192.168.1.3:80", "listen": "127.0.0.1:0" },
        { "to": "tcp:192.168.1.3:80", "listen": "127.0.0.1:0" },
        { "to": "udp:192.168.1.3:3671", "listen": "127.0.0.1:0" },
    ] });
    let made = running.put("/v1/sites/b1", &site_with(&forwards)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let ports = |reply: &serde_json::Value| -> Vec<String> {
        let all = reply["forwards"].as_array().unwrap();
        let mut all: Vec<_> =
            all.iter().map(|it| it["listen"].as_str().unwrap().to_owned()).collect();
        all.sort();
        all
    };
    let told = ports(&made.json());
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|it| !it.ends_with(":0")), "{told:?}");
    let mut relabelled = site_with(&json!({ "labels": { "a": "b" } }));
    relabelled.as_object_mut().unwrap().extend(forwards.as_object().unwrap().clone());
    let changed = running.put("/v1/sites/b1", &relabelled).await;
    assert_eq!(ports(&changed.json()), told);
    running.end().await;

    let running = world.start().await;
    let one = running.ask("GET", "/v1/sites/b1").await.json();
    assert_eq!(ports(&one["more"]), told);
    running.end().await;

    // a port that somebody else has by now is chosen anew
    let first = told[0].clone();
    let taken = std::net::TcpListener::bind(&first);
    let running = world.start().await;
    let one = running.ask("GET", "/v1/sites/b1").await.json();
    assert_eq!(ports(&one["more"]).contains(&first), taken.is_err());
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_state_folder_of_a_later_version_is_refused() {
    let world = World::new();
    fs::write(world.state("format"), "2\n").unwrap();
    let error = Start::of_file(world.file(), false).unwrap_err().to_string();
    assert!(error.contains("a later version has written it"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_is_not_applied() {
    let world = World::new();
    let running = world.start().await;
    // the folder of the sites cannot be made
    fs::write(world.state("sites"), "in the way").unwrap();
    for reply in [
        running.put("/v1/sites/b1", &site()).await,
        running.put_all("", &running.version().await, &json!({ "b1": site(), "b2": site() })).await,
    ] {
        assert_eq!(reply.problem(), (500, "not-kept".into()));
        assert!(reply.json()["detail"].as_str().unwrap().contains("nothing was changed"));
    }
    assert!(running.daemon.fleet().sites().is_empty());
    fs::remove_file(world.state("sites")).unwrap();
    assert_eq!(running.put("/v1/sites/b1", &site()).await.status, 201);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn changes_and_reloads_wait_for_each_other_and_none_is_lost() {
    let world = World::new();
    let running = world.start().await;
    let site = site();
    let (one, two, reload, three, dry) = tokio::join!(
        running.put("/v1/sites/b1", &site),
        running.put("/v1/sites/b2", &site),
        running.daemon.reload(ReloadOptions::default()),
        running.put("/v1/sites/b3", &site),
        running.put("/v1/sites/b4?dry_run=true", &site),
    );
    assert_eq!([one.status, two.status, three.status, dry.status], [201, 201, 201, 200]);
    reload.unwrap();
    assert_eq!(running.daemon.fleet().sites().len(), 3);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_daemon_without_a_state_folder_makes_no_sites() {
    let world = World::new();
    fs::write(world.folder.join("connector.toml"), "").unwrap();
    let running = world.start().await;
    let reply = running.put("/v1/sites/b1", &site()).await;
    assert_eq!(reply.problem(), (409, "impossible".into()));
    assert!(reply.json()["detail"].as_str().unwrap().contains("state ="), "{reply:?}");
    running.end().await;
}
