//! What `pptp-connector run` does when sites, its files and it itself change under its clients.

use std::fs;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp_interop::{
    Building, Daemon, Lab, Outcome, Process, download, sha256, trial, trial_beside,
};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::ways_in::{SITES, body, by_user, configuration, connected, curl, site};

const LIMIT: Duration = Duration::from_mins(1);
const ONE: Building = Building::ONE;
const TWO: Building = Building::TWO;
const THREE: Building = Building::THREE;
const FOUR: Building = Building::FOUR;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_site_that_is_killed_under_the_daemon_comes_back_and_no_other_notices", killed),
        trial("a_site_whose_server_is_away_says_so_and_is_back_with_it", away),
        trial("a_reload_adds_changes_and_removes_and_a_download_of_another_site_passes", reload),
        trial("a_daemon_that_was_killed_starts_again_and_dials_all", kill_and_start),
        trial("a_daemon_that_is_told_to_end_hangs_up_cleanly", ended),
    ]
}

/// What mostly waits, and may run beside others
pub(crate) fn waiting_trials() -> Vec<Trial> {
    let name = "fault_a_site_that_stands_still_for_two_minutes_under_the_daemon";
    vec![trial_beside(&SITES, name, still)]
}

async fn killed(lab: &Lab) -> Outcome {
    let daemon = connected().await?;
    let other = slow_download(TWO);
    lab.end_connections(ONE)?;
    let since = Instant::now();
    answers(ONE, LIMIT).await?;
    println!("  b1 answers again after {:.1?}", since.elapsed());
    whole(other, TWO).await?;
    told_of_one_only(&daemon);
    Ok(())
}

/// A client that comes while nobody can help is told so, and the site is up again soon after its server is
async fn away(lab: &Lab) -> Outcome {
    let daemon = connected().await?;
    let server = lab.killable(ONE);
    server.kill(&[Process::Pptpd, Process::Pptpctrl]).await?;
    sleep(Duration::from_secs(2)).await;
    let refused = curl(&["-x", &by_user("http", ONE), "-i", "http://192.168.1.3/"]).await?;
    println!("  {}", refused.printed.trim_end().replace('\n', " | "));
    assert!(refused.printed.starts_with("HTTP/1.1 503"), "{}", refused.printed);
    assert_eq!(body(&["-x", &by_user("http", TWO), "http://192.168.1.3/"]).await?, "building 2\n");
    server.revive().await?;
    let since = Instant::now();
    answers(ONE, LIMIT).await?;
    println!("  b1 answers {:.1?} after its server is back", since.elapsed());
    told_of_one_only(&daemon);
    Ok(())
}

/// Its line is cut for longer than any detector bears: found dead, and dialled again when the line is there
async fn still(lab: &Lab) -> Outcome {
    let daemon = connected().await?;
    let line = lab.unplug(ONE).await?;
    let since = Instant::now();
    sleep(Duration::from_mins(2)).await;
    let view = daemon.view(ONE).await?;
    println!("  after 2 min b1 is: {}", view["detail"]);
    assert_ne!(view["state"], "up", "{view}");
    assert_eq!(body(&["-x", &by_user("http", TWO), "http://192.168.1.3/"]).await?, "building 2\n");
    tokio::task::spawn_blocking(|| drop(line)).await?;
    let back = since.elapsed();
    // the pause has grown meanwhile
    answers(ONE, LIMIT * 2).await?;
    println!("  b1 answers {:.1?} after its line is back", since.elapsed().saturating_sub(back));
    told_of_one_only(&daemon);
    Ok(())
}

/// One site is added, one changed, one removed; the fourth passes 16 MiB meanwhile, on the same tunnel
async fn reload(_: &Lab) -> Outcome {
    let before = configuration() + &site(FOUR, "");
    let daemon = Daemon::start(&before)?;
    for building in [ONE, TWO, FOUR] {
        daemon.is_up(building, LIMIT).await?;
    }
    let untouched = daemon.view(ONE).await?["since"].clone();
    let passing = slow_download(ONE);
    sleep(Duration::from_millis(500)).await;
    let changed = site(TWO, "mru = 1300\n");
    let after = configuration().replace(&site(TWO, ""), &changed) + &site(THREE, "");
    daemon.configure(&after)?;
    let dry = daemon.ask(&["reload", "--dry-run"]).await?;
    let applied = daemon.ask(&["reload"]).await?;
    println!("  it says: {}", applied.printed.trim_end().replace('\n', "\n           "));
    assert!(dry.status.success() && applied.status.success(), "{}", applied.printed);
    for name in ["b2", "b3", "b4"] {
        assert!(applied.printed.contains(name), "{name}: {}", applied.printed);
    }
    for building in [TWO, THREE] {
        answers(building, LIMIT).await?;
    }
    let gone = curl(&["-x", &by_user("socks5h", FOUR), "http://192.168.1.3/"]).await?;
    assert!(gone.printed.contains("(2)"), "{}", gone.printed);
    whole(passing, ONE).await?;
    assert_eq!(daemon.view(ONE).await?["since"], untouched, "the tunnel is another");
    // a file with a fault changes nothing, and SIGHUP reads as `reload` does
    daemon.configure(&(after.clone() + "[site.b3]\n"))?;
    assert_eq!(daemon.ask(&["reload"]).await?.status.code(), Some(2));
    assert_eq!(
        body(&["-x", &by_user("http", THREE), "http://192.168.1.3/"]).await?,
        "building 3\n"
    );
    daemon.configure(&before)?;
    daemon.program().hang_up()?;
    answers(FOUR, LIMIT).await
}

async fn kill_and_start(_: &Lab) -> Outcome {
    let daemon = connected().await?;
    let since = Instant::now();
    let daemon = daemon.kill_and_start().await?;
    for building in SITES {
        daemon.is_up(building, LIMIT).await?;
        answers(building, LIMIT).await?;
    }
    println!("  both answer {:.1?} after the kill", since.elapsed());
    Ok(())
}

async fn ended(lab: &Lab) -> Outcome {
    let daemon = connected().await?;
    let journal = lab.journal();
    daemon.program().terminate()?;
    for building in SITES {
        crate::buildings::hung_up_cleanly(&journal, building).await?;
    }
    Ok(())
}

/// Sixteen MiB of a site, slowly enough that something can happen meanwhile
fn slow_download(site: Building) -> JoinHandle<Result<Vec<u8>, Failed>> {
    let file = std::env::temp_dir().join(format!("pptp-interop-slow-{}", site.number()));
    tokio::spawn(async move {
        let (proxy, path) = (by_user("socks5h", site), file.to_string_lossy().into_owned());
        let url = "http://192.168.1.3/16M";
        let finished =
            curl(&["-x", &proxy, "--limit-rate", "2M", "--fail", "-o", &path, url]).await?;
        let octets = fs::read(&file);
        let _ = fs::remove_file(&file);
        if finished.status.success() { Ok(octets?) } else { Err(finished.printed.into()) }
    })
}

async fn whole(download_of: JoinHandle<Result<Vec<u8>, Failed>>, site: Building) -> Outcome {
    assert_eq!(sha256(&download_of.await??), sha256(&download(site.number())));
    Ok(())
}

/// Wait until the device of `site` answers through SOCKS; an error after `limit`.
async fn answers(site: Building, limit: Duration) -> Outcome {
    let deadline = Instant::now() + limit;
    let named = format!("building {}\n", site.number());
    loop {
        let proxy = by_user("socks5h", site);
        let told = body(&["-m", "5", "-x", &proxy, "http://192.168.1.3/"]).await;
        match told {
            Ok(told) if told == named => return Ok(()),
            Ok(told) => return Err(format!("{named:?} says {told:?}").into()),
            Err(failed) if Instant::now() > deadline => return Err(failed),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Asserts that the log tells that the first site went and came, and of the second nothing but its first connect.
fn told_of_one_only(daemon: &Daemon) {
    let printed = daemon.program().printed();
    let of = |words: &str| printed.lines().filter(|line| line.contains(words)).count();
    assert!(of(" b1: down: ") >= 1 && of(" b1: up as ") >= 2, "{printed}");
    assert_eq!((of(" b2: up as "), of(" b2: ")), (1, 1), "{printed}");
}
