//! Machines with GPUs of all sorts, as their directories tell of them.

use serde_json::json;

use super::*;

/// A machine with these files.
fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in files {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    root
}

fn ids(gpus: &Gpus, resource: &str) -> Vec<String> {
    gpus.get(resource).into_iter().flatten().map(|gpu| gpu.id.clone()).collect()
}

const INFORMATION: &str = "Model: \t\t NVIDIA A30\nIRQ:   \t\t 130\nGPU UUID: \t GPU-5a4f1c52-0000-1111-2222-333344445555\n\
                           Bus Type: \t PCIe\nDevice Minor: \t 0\nGPU Excluded:\t No\n";

#[test]
fn machine_without_gpus_has_none() {
    let root =
        machine(&[("dev/null", ""), ("dev/nvidiactl", ""), ("dev/dri/renderD128", ""), ("proc/cpuinfo", "")]);
    assert!(find(root.path()).is_empty());
    assert!(find(Path::new("/nonexistent")).is_empty());
}

#[test]
fn driver_of_nvidia_tells_addresses_and_names() {
    let second = INFORMATION.replace("GPU-5a4f", "GPU-9b9b").replace("Minor: \t 0", "Minor: \t 1");
    let root = machine(&[
        ("proc/driver/nvidia/gpus/0000:5e:00.0/information", &second),
        ("proc/driver/nvidia/gpus/0000:3b:00.0/information", INFORMATION),
        ("dev/nvidia0", ""),
        ("dev/nvidia1", ""),
        ("dev/nvidiactl", ""),
    ]);
    let found = find(root.path());
    assert_eq!(ids(&found, NVIDIA), ["0000:3b:00.0", "0000:5e:00.0"]);
    assert_eq!(found[NVIDIA][0].uuid.as_deref(), Some("GPU-5a4f1c52-0000-1111-2222-333344445555"));
    assert!(found[NVIDIA][1].uuid.as_deref().is_some_and(|uuid| uuid.starts_with("GPU-9b9b")));
}

#[test]
fn gpu_that_cannot_be_opened_or_is_excluded_does_not_count_and_one_that_sleeps_has_no_name() {
    let asleep = INFORMATION
        .replace("GPU-5a4f1c52-0000-1111-2222-333344445555", "GPU-????????-????-????-????-????????????");
    let root = machine(&[
        ("proc/driver/nvidia/gpus/0000:01:00.0/information", &asleep),
        (
            "proc/driver/nvidia/gpus/0000:02:00.0/information",
            &INFORMATION.replace("Minor: \t 0", "Minor: \t 1"),
        ),
        (
            "proc/driver/nvidia/gpus/0000:03:00.0/information",
            &INFORMATION.replace("Excluded:\t No", "Excluded:\t Yes"),
        ),
        ("dev/nvidia0", ""),
    ]);
    assert_eq!(find(root.path())[NVIDIA], [Gpu { id: "0000:01:00.0".into(), uuid: None }]);
}

#[test]
fn where_only_the_files_are_they_count_by_number() {
    let files =
        ["dev/nvidia10", "dev/nvidia2", "dev/nvidia-uvm", "dev/nvidiactl", "dev/nvidia-caps/nvidia-cap1"];
    let root = machine(&files.map(|file| (file, "")));
    assert_eq!(ids(&find(root.path()), NVIDIA), ["nvidia2", "nvidia10"]);
}

#[test]
fn gpus_of_amd_are_the_compute_nodes_with_a_file() {
    let node = |number: u32, gpu: &str, minor: u32| {
        let place = format!("sys/class/kfd/kfd/topology/nodes/{number}");
        [
            (format!("{place}/gpu_id"), format!("{gpu}\n")),
            (
                format!("{place}/properties"),
                format!("cpu_cores_count 0\nsimd_count 440\ndrm_render_minor {minor}\n"),
            ),
        ]
    };
    let files: Vec<(String, String)> =
        [node(0, "0", 0), node(10, "52128", 130), node(2, "9113", 129), node(3, "777", 131)].concat();
    let mut files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    files.extend([("dev/dri/renderD129", ""), ("dev/dri/renderD130", ""), ("dev/dri/card0", "")]);
    assert!(find(machine(&files).path()).is_empty(), "without /dev/kfd nothing computes");
    files.push(("dev/kfd", ""));
    assert_eq!(ids(&find(machine(&files).path()), AMD), ["renderD129", "renderD130"]);
}

#[test]
fn what_is_declared_beyond_what_was_found_has_numbers() {
    let found = Gpus::from([(NVIDIA, vec![Gpu { id: "0000:3b:00.0".into(), uuid: None }])]);
    let all = devices(
        &json!({"cpu": "8", NVIDIA: "3", AMD: 2, "example.com/tokens": "100000", "example.com/half": "1500m"}),
        &found,
    );
    assert_eq!(all.of(NVIDIA), ["0000:3b:00.0", "1", "2"]);
    assert_eq!(all.of(AMD), ["0", "1"]);
    assert!(
        all.of("example.com/tokens").is_empty()
            && all.of("cpu").is_empty()
            && all.of("example.com/half").is_empty()
    );
    assert!(devices(&json!({NVIDIA: "0"}), &found).is_empty(), "nobody gets what was taken away");
}

#[test]
fn processes_are_told_by_name_or_by_number_in_the_order_of_the_bus() {
    let pairs = |list: Vec<(&'static str, String)>| {
        list.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        pairs(variables(NVIDIA, &[1], Some(vec!["GPU-a", "GPU-b"]))),
        "CUDA_VISIBLE_DEVICES=GPU-b NVIDIA_VISIBLE_DEVICES=GPU-b"
    );
    assert_eq!(
        pairs(variables(NVIDIA, &[0, 2], None)),
        "CUDA_VISIBLE_DEVICES=0,2 NVIDIA_VISIBLE_DEVICES=0,2 CUDA_DEVICE_ORDER=PCI_BUS_ID"
    );
    assert_eq!(
        pairs(variables(NVIDIA, &[], Some(vec!["GPU-a"]))),
        "CUDA_VISIBLE_DEVICES= NVIDIA_VISIBLE_DEVICES=void"
    );
    assert_eq!(pairs(variables(AMD, &[0, 1], None)), "ROCR_VISIBLE_DEVICES=0,1");
}
