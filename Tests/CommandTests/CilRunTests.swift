import Testing
import WeightFiles

@Suite struct CilRunTests {
    @Test func `a run is found again though its bank was named by a relative path`() throws {
        let scratch = try Scratch(bank: false)
        // Commands run in the scratch folder.
        try scratch.succeed("init", "bank")
        for kind in ["backbone", "data"] {
            try scratch.succeed(
                "--bank", "bank", kind, "import", "\(Tool.package)/bank/starter/\(kind)", "--name", "starter")
        }
        let trained = try scratch.json(
            "--bank", "bank", "cil", "run", Tool.package + "/recipes/cil/chain.yaml", "--run", "run", "--set",
            "structure=single", "--set", "data.train_per_class=20", "--set", "epochs=1")
        #expect(try scratch.json("--bank", "bank", "cil", "doctor", "run")["failed"]?.integer == 0)
        #expect(try scratch.json("--bank", "bank", "cil", "resume", "run")["run"] == trained["run"])
    }
}
