//! The front in this process, for the length of a test: a world behind EC2's protocol, on a thread of its own.

use std::sync::mpsc;
use std::thread::JoinHandle;

use evenkeel_front::{Front, listen};
use evenkeel_sim::{Sim, World};
use tokio::sync::oneshot;

/// A served world. It ends with this value.
pub struct Served {
    /// `http://127.0.0.1:…`.
    pub url: String,
    /// The world's other door.
    pub sim: Sim,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Serves this world, its time `speed` times as fast as ours.
    pub fn start(world: World, speed: f64) -> Self {
        let region = world.region.clone();
        let sim = Sim::serving(None, || world, speed).expect("it is in no file");
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let front = Front::new(sim.clone(), &region);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = listen(0).await.expect("a free port");
                tell.send(listener.local_addr().expect("it is bound")).expect("it is waited for");
                let stopped = async { drop(stopped.await) };
                front.serve(listener, stopped).await;
            });
        });
        let url = format!("http://{}", told.recv().expect("it listens"));
        Self { url, sim, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
