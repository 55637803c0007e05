//! Arguments of `sim kubectl`: what a person does to the sim's cluster behind evenkeel's back.

use clap::Subcommand;

/// `sim kubectl`
#[derive(Debug, clap::Args)]
pub struct Kubectl {
    /// Which cluster of the sim
    #[arg(long, default_value = "sim", value_name = "NAME")]
    pub cluster: String,
    #[command(subcommand)]
    pub hand: KubectlHand,
}

/// What to do. Objects are named deployment/web (in `default`), deploy/shop/web, node/node-a.
#[derive(Debug, Subcommand)]
pub enum KubectlHand {
    /// Show the objects of the cluster, and whose fields they bear
    Get {
        /// Only this kind: deployments, svc, pods …
        kind: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Set the number of replicas
    Scale {
        /// deployment/web
        object: String,
        /// So many
        replicas: u32,
    },
    /// Give a container another image
    SetImage {
        /// deployment/web
        object: String,
        /// web:2
        image: String,
        /// Which container; without it, the first
        #[arg(long)]
        container: Option<String>,
    },
    /// Set a label, or take it away
    Label {
        /// deployment/web
        object: String,
        /// KEY=VALUE, or KEY- to take it away
        label: String,
    },
    /// Set an annotation, or take it away
    Annotate {
        /// deployment/web
        object: String,
        /// KEY=VALUE, or KEY- to take it away
        annotation: String,
    },
    /// Change anything, as `kubectl edit` does
    Edit {
        /// deployment/web
        object: String,
        /// A JSON merge patch: {"spec": {"paused": true}}
        patch: String,
    },
    /// Make an object
    Create {
        /// The object as JSON
        body: String,
    },
    /// Delete an object
    Delete {
        /// deployment/web
        object: String,
    },
    /// Let a node take no more pods
    Cordon {
        /// node-a
        node: String,
        /// It takes them again
        #[arg(long)]
        undo: bool,
    },
    /// Let a node fall silent
    Silence {
        /// node-a
        node: String,
        /// It speaks again
        #[arg(long)]
        undo: bool,
    },
    /// Let an image be nowhere to be pulled from
    SpoilImage {
        /// web:2
        image: String,
        /// It can be pulled again
        #[arg(long)]
        undo: bool,
    },
    /// Let containers of an image end as soon as they start
    CrashImage {
        /// web:2
        image: String,
        /// What they write before they end
        #[arg(long, default_value = "fatal: cannot start")]
        log: String,
        /// They run again
        #[arg(long)]
        undo: bool,
    },
}
