//! `sim serve`: the sim's world as an endpoint for any AWS client, until Ctrl-C or SIGTERM.

use evenkeel_engine::clock::Paced;
use evenkeel_front::{Front, listen};
use jiff::Timestamp;

use crate::args::Global;
use crate::exit::{Ends, Exit, Halt};
use crate::out::Out;
use crate::session::{block_on_wall, serving};

/// `sim serve`
pub fn run(global: &Global, port: u16, speed: f64, out: &Out) -> Ends {
    if Paced::starting_at(Timestamp::UNIX_EPOCH, speed).is_none() {
        return Err(bad_speed(speed));
    }
    block_on_wall(async {
        let sim = serving(global, speed)?;
        let failed = |e: evenkeel_sim::BadWorld| Halt::error(e.to_string());
        let region = sim.world().map_err(failed)?.region;
        let listener = listen(port).await.map_err(|e| Halt::error(format!("cannot listen on port {port}: {e}")))?;
        let address = listener.local_addr().map_err(|e| Halt::error(format!("cannot listen: {e}")))?;
        // Heard from before anybody is told that it serves.
        let ended = ended()?;
        let clock = sim.clock().paced().ok_or_else(|| bad_speed(speed))?;
        out.data(&format!(
            "AWS_ENDPOINT_URL=http://{address} AWS_ACCESS_KEY_ID=sim AWS_SECRET_ACCESS_KEY=sim AWS_REGION={region} \
             EVENKEEL_CLOCK={clock}\n"
        ));
        out.say(
            "Serving the sim's world with that environment; Ctrl-C ends it. `evenkeel sim …` acts on it meanwhile.",
        );
        Front::new(sim.clone(), &region).serve(listener, ended).await;
        sim.save().map_err(failed)?;
        out.say("The world is saved.");
        Ok(Exit::Fine)
    })
}

fn bad_speed(speed: f64) -> Halt {
    Halt::new(Exit::Usage, format!("time cannot run {speed} times as fast; from 0.001 to 1000000"))
}

/// SIGINT or SIGTERM: the way to end it, and no failure.
fn ended() -> Result<impl Future<Output = ()>, Halt> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|e| Halt::error(format!("cannot hear signals: {e}")));
    let (mut int, mut term) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
    })
}
