//! Where the project is served, and where one that runs is found.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::args::Server;
use crate::cli::args::Place;
use crate::cli::compat::{self, Asked, CompatApi};
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::cli::running::reach;
use crate::control::{ApiPlace, Found, USUAL_PORT};

/// Where the server of a project that starts is to be: as there on port 8080, unless it is
/// told otherwise. That port may be taken where nobody asked for it.
pub(super) fn api(server: &Server, output: &Output) -> Result<CompatApi, End> {
    if server.no_server || std::env::var_os("PC_NO_SERVER").is_some() {
        return Ok(CompatApi::default());
    }
    let asked = asked(server, output)?;
    Ok(CompatApi {
        may_fail: asked.is_none(),
        compat_api: Some(Asked::At(asked.unwrap_or_else(compat::usual))),
        token_file: server.token_file.clone(),
        ..CompatApi::default()
    })
}

/// `None`: nothing is said of it.
fn asked(server: &Server, output: &Output) -> Result<Option<ApiPlace>, End> {
    if let Some(path) = &server.unix_socket {
        return Ok(Some(ApiPlace::Socket(path.clone())));
    }
    if server.use_uds && std::env::var_os("PC_SOCKET_PATH").is_none() {
        // It names its own, too.
        let name = format!("process-compose-{}.sock", std::process::id());
        return Ok(Some(ApiPlace::Socket(std::env::temp_dir().join(name))));
    }
    let named = match server.port {
        Some(port) => Some(compat::on_loopback(port)),
        None => compat::of_environment(output)?,
    };
    let address = server.address.clone();
    let address = address.or_else(|| std::env::var("PC_ADDRESS").ok());
    let Some(address) = address else {
        return Ok(named);
    };
    let ip = match address.as_str() {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        text => match text.parse() {
            Ok(ip) => ip,
            Err(_) => {
                let help = "write the number of an address of this machine, or `localhost`";
                output.error(&format!("`{text}` is no address"), Some(help));
                return Err(End::Failed);
            }
        },
    };
    Ok(match named {
        Some(ApiPlace::Socket(path)) => Some(ApiPlace::Socket(path)),
        Some(ApiPlace::Tcp(other)) => Some(ApiPlace::Tcp(SocketAddr::new(ip, other.port()))),
        None if address == "localhost" => None,
        None => Some(ApiPlace::Tcp(SocketAddr::new(ip, USUAL_PORT))),
    })
}

/// The project that is meant: the one that answers at the place that is named, else the one of
/// this folder, else the one on port 8080.
pub(super) fn place(server: &Server, output: &Output) -> Result<Place, End> {
    let named = if server.use_uds && server.unix_socket.is_none() {
        None
    } else {
        asked(server, output)?
    };
    if named.is_none() && reach::find(&Place::default(), output)?.is_some() {
        return Ok(Place::default());
    }
    let wanted = named.clone().unwrap_or_else(compat::usual);
    let all = reach::all(output)?;
    if let Some(found) = all.iter().find(|found| answers(found, &wanted)) {
        return Ok(Place {
            directory: Some(found.record.folder.clone()),
            files: vec![found.record.file.clone()],
        });
    }
    if named.is_none() {
        // What it says of a folder without a project fits.
        return Ok(Place::default());
    }
    output.error(
        &format!("no project answers on {wanted}"),
        Some("`pk ls` shows what runs"),
    );
    Err(End::Failed)
}

fn answers(found: &Found, wanted: &ApiPlace) -> bool {
    let Some(api) = &found.record.api else {
        return false;
    };
    match (&api.at, wanted) {
        // One port of this machine is one project's, whatever its address.
        (ApiPlace::Tcp(at), ApiPlace::Tcp(wanted)) => at.port() == wanted.port(),
        (ApiPlace::Socket(at), ApiPlace::Socket(wanted)) => real(at) == real(wanted),
        (ApiPlace::Tcp(_) | ApiPlace::Socket(_), _) => false,
    }
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
