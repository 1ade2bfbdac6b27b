//! Passwords: sealed on the disk, and in no answer

use std::{fs, path::Path};

use pptp_connector::seal::{Bound, Sealed};
use pptp_fleet::SiteName;
use serde_json::json;

use crate::world::{PASSWORD, Running, SERVER, World, site, site_with};

/// All files below a folder
fn files(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
        }
    }
    all
}

fn bound(site: &str, user: &str) -> Bound {
    let site: SiteName = site.parse().unwrap();
    Bound::new(&site, &SERVER.to_string(), user, [])
}

/// The answers of all routes that answer by themselves
async fn answers(running: &Running) -> Vec<String> {
    let document = running.ask("GET", "/v1/openapi.json").await.json();
    let mut answers = vec![document.to_string()];
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let query = match path.as_str() {
                "/v1/sites/{site}/ping" => "?to=192.168.1.3&count=1",
                "/v1/sites/{site}/tcp" => "?to=192.168.1.3:80",
                "/v1/events" => "?since=1-0",
                _ => "",
            };
            let path = format!("{}{query}", path.replace("{site}", "b1"));
            if method != "delete" {
                answers.push(running.ask(&method.to_uppercase(), &path).await.body);
            }
        }
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn a_password_that_comes_as_a_text_is_on_no_disk_and_in_no_answer() {
    let world = World::new();
    let running = world.start().await;
    let mut seen = Vec::new();
    seen.push(running.put("/v1/sites/b1", &site()).await.body);
    running.until("b1", "up").await;
    let wrong = site_with(&json!({ "password": PASSWORD, "servr": PASSWORD, "mru": PASSWORD }));
    let wrong = running.put("/v1/sites/b2", &wrong).await;
    assert_eq!(wrong.status, 422);
    seen.push(wrong.body);
    let nested = site_with(&json!({ "password": { "text": PASSWORD } }));
    seen.push(running.put("/v1/sites/b2", &nested).await.body);
    let list = site_with(&json!({ "password": [PASSWORD] }));
    seen.push(running.put("/v1/sites/b2", &list).await.body);
    let by_name = site_with(&json!({ "password": { PASSWORD: "x" } }));
    seen.push(running.put("/v1/sites/b2", &by_name).await.body);
    let as_sealed = site_with(&json!({ "password": { "sealed": PASSWORD } }));
    seen.push(running.put("/v1/sites/b2", &as_sealed).await.body);
    seen.extend(answers(&running).await);
    let text = fs::read_to_string(world.state("sites/b1.toml")).unwrap();
    let blob = text.split('"').find(|it| it.starts_with("k1.")).expect("it is sealed");
    assert!(seen.len() > 20);
    for answer in &seen {
        assert!(!answer.contains(PASSWORD), "{answer}");
        assert!(!answer.contains(blob), "{answer}");
    }
    running.end().await;
    for file in files(&world.folder) {
        assert!(!file.contains(PASSWORD), "{file}");
    }
    let opened = blob.parse::<Sealed>().unwrap().open(&world.key, &bound("b1", "svc"));
    assert!(opened == Ok(PASSWORD.into()));
}

#[tokio::test(start_paused = true)]
async fn a_sealed_password_is_taken_for_its_own_site_and_what_has_changed_is_named() {
    let world = World::new();
    world.write("[api_sites]\ninsecure = true\n");
    let running = world.start().await;
    let key = running.ask("GET", "/v1/key").await.json();
    assert_eq!(
        format!("k1.{}", key["public_key"].as_str().unwrap()),
        world.key.public().to_string()
    );
    let sealed = Sealed::seal(&world.key.public(), &bound("b1", "svc"), &PASSWORD.into()).unwrap();
    let with = |more: serde_json::Value| {
        let mut site = site_with(&json!({ "password": { "sealed": sealed.to_string() } }));
        site.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        site
    };
    assert_eq!(running.put("/v1/sites/b1", &with(json!({}))).await.status, 201);
    running.until("b1", "up").await;
    for (name, more, word) in [
        ("b2", json!({}), "the site's name"),
        ("b1", json!({ "server": "evil.example" }), "`server`"),
        ("b1", json!({ "user": "root" }), "`user`"),
        ("b1", json!({ "insecure": ["mschap-v1"] }), "`insecure`"),
    ] {
        let reply = running.put(&format!("/v1/sites/{name}"), &with(more)).await;
        assert_eq!(reply.status, 422, "{word}: {reply:?}");
        let (pointer, message) = reply.errors()[0].clone();
        assert_eq!(pointer, "/password");
        assert!(message.contains(&format!("before {word} changed")), "{message}");
    }
    let mut octets = sealed.to_string().into_bytes();
    octets[20] = if octets[20] == b'A' { b'B' } else { b'A' };
    let damaged = String::from_utf8(octets).unwrap();
    let damaged = site_with(&json!({ "password": { "sealed": damaged } }));
    let reply = running.put("/v1/sites/b1", &damaged).await;
    assert!(reply.body.contains("or it is damaged"), "{reply:?}");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_key_no_password_is_taken_and_the_remedy_is_told() {
    let world = World::new();
    fs::remove_file(world.state("key")).unwrap();
    let running = world.start().await;
    let reply = running.put("/v1/sites/b1", &site()).await;
    assert_eq!(reply.status, 422);
    assert!(reply.errors()[0].1.contains("pptp-connector keygen"), "{reply:?}");
    assert_eq!(running.ask("GET", "/v1/key").await.problem(), (404, "no-key".into()));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_may_have_sealed_passwords_too() {
    let world = World::new();
    let sealed = Sealed::seal(&world.key.public(), &bound("f1", "svc"), &PASSWORD.into()).unwrap();
    let site = |name: &str| {
        format!(
            "[site.{name}]\nserver = \"{SERVER}:1723\"\nuser = \"svc\"\nshare_login = true\n\
             password = {{ sealed = \"{sealed}\" }}\n"
        )
    };
    world.write(&format!("{}{}", site("f1"), site("f2")));
    let running = world.start().await;
    running.until("f1", "up").await;
    running.until("f2", "waiting").await;
    let other = running.ask("GET", "/v1/sites/f2").await.json();
    let message = other["failure"]["message"].as_str().unwrap();
    assert!(message.contains("before the site's name changed"), "{message}");
    running.end().await;
}
