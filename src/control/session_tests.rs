use super::*;

fn folder() -> (tempfile::TempDir, RuntimeFolder) {
    let dir = tempfile::tempdir().unwrap();
    let folder = RuntimeFolder::create(dir.path().join("pk")).unwrap();
    (dir, folder)
}

fn record(name: &str) -> Record {
    Record::new(name, Path::new("/nowhere/shop/pk.yaml"))
}

#[test]
fn a_session_is_found_until_it_is_dropped() {
    let (_dir, folder) = folder();
    let (session, _listener) = Session::open(&folder, record("shop")).unwrap();
    let found = running(&folder).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].record, *session.record());
    let mode = fs::metadata(&found[0].socket).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o600);
    drop(session);
    assert_eq!(running(&folder).unwrap(), []);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn one_of_two_wins_and_the_other_is_told_who() {
    let (_dir, folder) = folder();
    let (_session, _listener) = Session::open(&folder, record("shop")).unwrap();
    let Err(SessionError::Running(Some(found))) = Session::open(&folder, record("shop")) else {
        panic!("opened twice");
    };
    assert_eq!(found.record.pid, std::process::id());
    // Another name in the same folder is another stack.
    Session::open(&folder, record("other")).unwrap();
}

#[test]
fn many_at_once_and_one_wins() {
    let (_dir, folder) = folder();
    let barrier = std::sync::Barrier::new(8);
    let opened: Vec<_> = std::thread::scope(|scope| {
        let open = || {
            barrier.wait();
            Session::open(&folder, record("shop"))
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(opened.iter().filter(|result| result.is_ok()).count(), 1);
}

#[test]
fn what_the_dead_have_left_is_taken_over() {
    let (_dir, folder) = folder();
    let (session, listener) = Session::open(&folder, record("shop")).unwrap();
    // As after SIGKILL: the files stay, the lock and the listener do not.
    let kept = (session.json.clone(), session.socket.clone());
    let text = fs::read(&kept.0).unwrap();
    drop((session, listener));
    fs::write(&kept.0, text).unwrap();
    drop(UnixListener::bind(&kept.1).unwrap());
    Session::open(&folder, record("shop")).unwrap();
    fs::write(&kept.0, b"not a record").unwrap();
    drop(UnixListener::bind(&kept.1).unwrap());
    assert_eq!(running(&folder).unwrap(), []);
    assert!(!kept.0.exists() && !kept.1.exists());
}

#[test]
fn the_file_decides_which_stack_is_meant() {
    let found = |name: &str, file: &str| Found {
        record: Record::new(name, Path::new(file)),
        socket: PathBuf::new(),
        json: PathBuf::new(),
    };
    let all = [
        found("shop", "/nowhere/shop/pk.yaml"),
        found("tests", "/nowhere/shop/tests.yaml"),
        found("deep", "/nowhere/shop/a/b/pk.yaml"),
    ];
    let names = |folder: &str, file: Option<&str>| -> Vec<String> {
        let meant = meant(&all, Path::new(folder), file.map(Path::new));
        meant
            .iter()
            .map(|found| found.record.name.clone())
            .collect()
    };
    let shop = "/nowhere/shop/pk.yaml";
    assert_eq!(names("/nowhere/shop/x", Some(shop)), ["shop"]);
    let tests = "/nowhere/shop/tests.yaml";
    assert_eq!(names("/nowhere/shop", Some(tests)), ["tests"]);
    let other = "/nowhere/shop/other.yaml";
    assert_eq!(names("/nowhere/shop", Some(other)), ["shop", "tests"]);
    assert_eq!(names("/nowhere/shop/a/b/c", None), ["deep"]);
    assert_eq!(names("/nowhere/elsewhere", None), [""; 0]);
    // A stack of its own that does not run is not the one above it.
    assert_eq!(
        names("/nowhere/shop/a", Some("/nowhere/shop/a/pk.yaml")),
        [""; 0]
    );
}

#[test]
fn a_folder_that_is_not_ours_alone_is_refused() {
    use crate::control::runtime_folder::FolderError;

    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real");
    fs::create_dir(&real).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o700)).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let error = RuntimeFolder::create(link).unwrap_err();
    assert!(matches!(error, FolderError::Symlink(_)), "{error}");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o750)).unwrap();
    let error = RuntimeFolder::create(real).unwrap_err();
    assert!(
        matches!(error, FolderError::Open { mode: 0o750, .. }),
        "{error}"
    );
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = RuntimeFolder::create(file).unwrap_err();
    assert!(matches!(error, FolderError::NotAFolder(_)), "{error}");
    assert_eq!(RuntimeFolder::find(dir.path().join("none")).unwrap(), None);
}
