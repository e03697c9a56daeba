//! Each kind of probe against what it is made for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pk::contain::Containment;
use pk::domain::id::{Attempt, InstanceId, RunId};
use pk::domain::spec::{Check, Command, HttpCheck, Pattern, Probe, StatusRange};
use pk::logs::{LogSink as _, MemoryStore, Origin, Stream};
use pk::probe::{ProbeError, ProbeResult, Prober, Surroundings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

const RUN: RunId = RunId {
    instance: InstanceId(1),
    attempt: Attempt(1),
};

fn surroundings() -> Surroundings {
    let containment = Containment::detect().unwrap();
    Surroundings {
        run: RUN,
        group: Arc::default(),
        ports: BTreeMap::new(),
        heard: None,
        containment,
        environment: vec![("GREETING".into(), "hello".into())],
        working_dir: "/usr".into(),
        options: pk::contain::SpawnOptions::default(),
        taps: Arc::new(MemoryStore::default()),
    }
}

/// Reports as they come; the prober ends with the receiver's task.
fn results(prober: Prober) -> mpsc::UnboundedReceiver<ProbeResult> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (_tell, settled) = watch::channel(false);
        tokio::select! {
            () = prober.run(settled, |result| { let _ = sender.send(result); }) => {}
            () = sender.closed() => {}
        }
    });
    receiver
}

async fn first(probe: &Probe) -> ProbeResult {
    let prober = Prober::new(probe, &surroundings()).unwrap();
    let result = tokio::time::timeout(DEADLINE, results(prober).recv_once()).await;
    result.expect("no result within the deadline")
}

trait RecvOnce {
    async fn recv_once(self) -> ProbeResult;
}

impl RecvOnce for mpsc::UnboundedReceiver<ProbeResult> {
    async fn recv_once(mut self) -> ProbeResult {
        self.recv().await.unwrap()
    }
}

fn reason(result: ProbeResult) -> String {
    match result {
        ProbeResult::Success => panic!("it succeeded"),
        ProbeResult::Failure(reason) => reason,
    }
}

fn patient(check: Check) -> Probe {
    Probe {
        timeout: DEADLINE,
        ..Probe::new(check)
    }
}

fn tcp(address: SocketAddr) -> Probe {
    patient(Check::Tcp {
        host: address.ip().to_string(),
        port: address.port(),
    })
}

/// Answers each connection with `answer`; gives out the first request.
async fn server(answer: &'static str) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.is_ok() {}
            let _ = sender.try_send(String::from_utf8_lossy(&request).into_owned());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, receiver)
}

fn http(address: SocketAddr) -> HttpCheck {
    HttpCheck {
        url: format!("http://{address}/health?x=1"),
        method: "GET".into(),
        headers: BTreeMap::new(),
        status: vec![StatusRange {
            first: 200,
            last: 299,
        }],
        body: None,
    }
}

fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test]
async fn tcp_succeeds_when_a_connection_is_accepted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let probe = tcp(listener.local_addr().unwrap());
    assert_eq!(first(&probe).await, ProbeResult::Success);
    let by_name = patient(Check::Tcp {
        host: "localhost".into(),
        port: listener.local_addr().unwrap().port(),
    });
    assert_eq!(first(&by_name).await, ProbeResult::Success);
}

#[tokio::test]
async fn tcp_fails_in_plain_words() {
    let address = free_port();
    assert_eq!(
        reason(first(&tcp(address)).await),
        format!("nothing listens on {address} (connection refused)")
    );
    let nowhere = patient(Check::Tcp {
        host: "no-such-host.invalid".into(),
        port: 80,
    });
    let reason = reason(first(&nowhere).await);
    assert!(
        reason.starts_with("cannot resolve `no-such-host.invalid`"),
        "{reason}"
    );
}

#[tokio::test]
async fn http_asks_as_it_is_told() {
    let (address, mut requests) = server("HTTP/1.1 204 No Content\r\n\r\n").await;
    let check = HttpCheck {
        method: "HEAD".into(),
        headers: [("x-token".to_owned(), "t".to_owned())].into(),
        ..http(address)
    };
    assert_eq!(
        first(&patient(Check::Http(check))).await,
        ProbeResult::Success
    );
    let request = requests.recv().await.unwrap().to_lowercase();
    assert!(
        request.starts_with("head /health?x=1 http/1.1\r\n"),
        "{request}"
    );
    for header in [
        "x-token: t".to_owned(),
        "connection: close".to_owned(),
        format!("host: {address}"),
    ] {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn http_judges_the_status() {
    let (address, _requests) = server("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n").await;
    let check = http(address);
    let result = first(&patient(Check::Http(check.clone()))).await;
    assert_eq!(reason(result), "answered 302 Found, wanted 200-299");
    let check = HttpCheck {
        status: vec![
            StatusRange {
                first: 200,
                last: 200,
            },
            StatusRange {
                first: 302,
                last: 302,
            },
        ],
        ..check
    };
    assert_eq!(
        first(&patient(Check::Http(check))).await,
        ProbeResult::Success
    );
}

#[tokio::test]
async fn http_judges_the_body() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"up\"}";
    let (address, _requests) = server(answer).await;
    let matching = |pattern: &str| {
        patient(Check::Http(HttpCheck {
            body: Some(Pattern(pattern.into())),
            ..http(address)
        }))
    };
    assert_eq!(
        first(&matching("\"status\":\\s*\"up\"")).await,
        ProbeResult::Success
    );
    assert_eq!(
        reason(first(&matching("down")).await),
        "answered 200 OK, but its body does not match `down`"
    );
}

#[tokio::test]
async fn http_fails_in_plain_words() {
    let address = free_port();
    assert_eq!(
        reason(first(&patient(Check::Http(http(address)))).await),
        format!("nothing listens on {address} (connection refused)")
    );
    let (address, _requests) = server("").await;
    assert_eq!(
        reason(first(&patient(Check::Http(http(address)))).await),
        "the connection was closed without an answer"
    );
    let (address, _requests) = server("SSH-2.0-OpenSSH_9.2\r\n").await;
    assert_eq!(
        reason(first(&patient(Check::Http(http(address)))).await),
        "what answers does not speak HTTP"
    );
}

#[tokio::test]
async fn a_check_that_does_not_end_is_given_up() {
    // The kernel accepts, nobody answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let probe = Probe {
        timeout: Duration::from_millis(50),
        ..Probe::new(Check::Http(http(listener.local_addr().unwrap())))
    };
    assert_eq!(reason(first(&probe).await), "no answer within 50ms");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let refused = |url: &str| {
        let check = HttpCheck {
            url: url.into(),
            ..http(free_port())
        };
        Prober::new(&patient(Check::Http(check)), &surroundings()).unwrap_err()
    };
    assert!(matches!(refused("ftp://localhost/"), ProbeError::Url(_)));
    assert!(matches!(refused("http:///x"), ProbeError::Url(_)));
    let notify = Prober::new(&patient(Check::Notify), &surroundings()).unwrap_err();
    assert_eq!(
        notify.to_string(),
        "nobody hears what the unit says of itself"
    );
}

/// Answers each connection as a server does that has made its certificate itself.
fn secure_server() -> SocketAddr {
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::rustls::{ServerConfig, ServerConnection, Stream as Tls};

    let cert = CertificateDer::from_pem_slice(include_bytes!("tls/cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key);
    let config = Arc::new(config.unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        while let Ok((mut stream, _)) = listener.accept() {
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = Tls::new(&mut connection, &mut stream);
            let _ = tls.read(&mut [0; 1024]);
            let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine\n");
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    });
    address
}

#[tokio::test]
async fn https_is_asked_of_who_has_made_its_certificate_itself() {
    let secure = |url: String| {
        patient(Check::Http(HttpCheck {
            url,
            body: Some(Pattern("fine".into())),
            ..http(free_port())
        }))
    };
    let address = secure_server();
    let probe = secure(format!("https://{address}/health"));
    assert_eq!(first(&probe).await, ProbeResult::Success);
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = plain.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = plain.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let reason = reason(first(&secure(format!("https://{address}/"))).await);
    assert_eq!(reason, "what answers does not speak TLS");
}

#[test]
fn a_unit_is_ready_once_it_answers_by_https() {
    let port = secure_server().port();
    let yaml = format!(
        "services: {{a: {{command: sleep 1000, readiness: {{http: 'https://localhost:{port}/'}}}}}}\n"
    );
    let pk = crate::harness::Pk::stack(&yaml, ["up"]).start();
    pk.wait_for("a  > ready");
    pk.pk(["down"]).assert_code(0);
    pk.wait().assert_code(0);
}

fn exec(script: &str) -> Probe {
    patient(Check::Exec(Command::Exec(
        ["sh", "-c", script].map(str::to_owned).to_vec(),
    )))
}

#[tokio::test]
async fn exec_runs_in_the_units_environment_and_folder() {
    let probe = exec("test \"$GREETING $PWD\" = 'hello /usr'");
    assert_eq!(first(&probe).await, ProbeResult::Success);
}

#[tokio::test]
async fn exec_fails_with_the_last_words_of_the_command() {
    let probe = exec("echo checking; echo 'no such table' >&2; echo; exit 3");
    assert_eq!(reason(first(&probe).await), "exit code 3: no such table");
    let missing = patient(Check::Exec(Command::Exec(vec!["/no/such".into()])));
    assert_eq!(
        reason(first(&missing).await),
        "command not found: /no/such does not exist"
    );
    let slow = Probe {
        timeout: Duration::from_millis(200),
        ..exec("echo waiting; sleep 1000")
    };
    let reason = reason(first(&slow).await);
    // On a busy machine it may not have come to speak.
    assert!(reason.starts_with("no answer within 200ms"), "{reason}");
}

#[tokio::test]
async fn file_succeeds_once_the_file_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ready");
    let prober = Prober::new(&patient(Check::File(path.clone())), &surroundings()).unwrap();
    let mut results = results(prober);
    assert_eq!(
        reason(results.recv().await.unwrap()),
        format!("{} does not exist", path.display())
    );
    std::fs::write(&path, "").unwrap();
    let success = async { while results.recv().await != Some(ProbeResult::Success) {} };
    tokio::time::timeout(DEADLINE, success).await.unwrap();
}

#[tokio::test]
async fn log_succeeds_once_with_the_line() {
    let store = MemoryStore::default();
    let surroundings = Surroundings {
        options: pk::contain::SpawnOptions::default(),
        taps: Arc::new(store.clone()),
        ..surroundings()
    };
    let probe = patient(Check::Log(Pattern("listening on [0-9]+".into())));
    let prober = Prober::new(&probe, &surroundings).unwrap();
    let mut writer = store.open(Origin {
        run: RUN,
        stage: 0,
        stream: Stream::Stderr,
    });
    writer.write(b"starting\nlistening on 80\n");
    let mut results = results(prober);
    let first = tokio::time::timeout(DEADLINE, results.recv())
        .await
        .unwrap();
    assert_eq!(first, Some(ProbeResult::Success));
    assert_eq!(results.recv().await, None, "it ends with its success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_opens_is_soon_seen() {
    let mut delays = Vec::new();
    for _ in 0..20 {
        let address = free_port();
        let prober = Prober::new(&Probe::new(tcp(address).check), &surroundings()).unwrap();
        let mut results = results(prober);
        tokio::time::sleep(Duration::from_millis(30)).await;
        let _listener = TcpListener::bind(address).await.unwrap();
        let opened = Instant::now();
        let success = async { while results.recv().await != Some(ProbeResult::Success) {} };
        tokio::time::timeout(DEADLINE, success).await.unwrap();
        delays.push(opened.elapsed());
    }
    delays.sort();
    println!("seen after {:?} (median)", delays[10]);
    // A tenth of this is what is promised, on a machine that has time.
    assert!(delays[10] < Duration::from_millis(200), "{delays:?}");
}
