use super::{Failure, interrupted};
use chevet::demo::DemoDesktop;
use chevet::gateway::{Config, Gateway, SessionConfig};

/// Show a real desktop in your browser, from this machine alone
///
/// Starts an X server with a small desktop and a gateway on the loopback, and prints an address to click. Ctrl-C ends it
/// all and leaves nothing behind. `make demo` installs what is needed.
#[derive(clap::Args)]
pub struct Demo {
    /// The port on 127.0.0.1
    #[arg(long, default_value_t = 4380)]
    port: u16,
    /// The first size of the screen; a browser's window sets its own
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1920x1080")]
    size: String,
}

impl Demo {
    pub async fn run(self) -> Result<(), Failure> {
        let size = self.size.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        let (width, height) = size.ok_or("--size: write it like 1920x1080")?;
        // Ctrl-C counts from here on, so that it cannot leave half a desktop behind.
        let interrupted = interrupted();
        tokio::pin!(interrupted);
        let starting = tokio::task::spawn_blocking(move || DemoDesktop::start(width, height));
        let desktop = starting.await??;
        let config = Config {
            listen: vec![([127, 0, 0, 1], self.port).into()],
            sessions: vec![SessionConfig {
                name: "demo".into(),
                title: Some("Démonstration".into()),
                display: Some(desktop.display().to_owned()),
                xauthority: Some(desktop.xauthority().to_owned()),
                ..SessionConfig::default()
            }],
            ..Config::default()
        };
        let gateway = Gateway::start(&config).await?;
        println!("\n  A desktop is waiting for you:\n\n    {}\n", gateway.page_url("demo"));
        println!(
            "  Without a browser:\n\n    chevet view --headless --screenshot demo.png '{}'\n",
            gateway.native_url("demo")
        );
        println!("  Ctrl-C ends it.");
        interrupted.await;
        gateway.stop().await;
        tokio::task::spawn_blocking(move || desktop.stop()).await?;
        Ok(())
    }
}
