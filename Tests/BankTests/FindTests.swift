import Diagnostics
import Foundation
import Testing

@testable import Bank

@Suite struct FindQueryTests {
    @Test func `a query falls into terms`() throws {
        let terms = try FindQuery(
            parsing: #"task:cifar rank<=8 -state!=approved "class incremental" x acc>0.7 t:"a \"b\"""#
        )
        .terms
        #expect(terms.map(\.field) == ["task", "rank", "state", nil, nil, "acc", "t"])
        #expect(terms.map(\.value) == ["cifar", "8", "approved", "class incremental", "x", "0.7", #"a "b""#])
        #expect(terms.map(\.comparison) == [.has, .lessOrEqual, .notEqual, .has, .has, .greater, .has])
        #expect(terms.map(\.isNegated) == [false, false, true, false, false, false, false])
        #expect(terms[3].isPhrase && !terms[4].isPhrase)
        #expect(try FindQuery(parsing: "  ").terms.isEmpty)
        #expect(try FindQuery(parsing: "- a").terms.map(\.value) == ["-", "a"])
    }

    @Test(arguments: ["\"open", "x:", ":x", "<=3", "rank<=", "x:\"open", "\"\"", String(repeating: "a ", count: 100)])
    func `what is no query is refused`(_ text: String) {
        #expect(code { _ = try FindQuery(parsing: text) } == .usageBadQuery)
    }

    @Test func `twenty thousand mutated queries are taken apart or refused`() {
        let seeds = [
            #"task:cifar rank<=8 -state!=approved "class incremental" x acc>0.7 t:"a \"b\"""#, "手書き 数字:漢字 -\"あ い\"",
            "bytes>=10MiB created>2026-01 tag:k=v",
        ].map { Array($0.unicodeScalars) }
        let vocabulary = FindVocabulary(tagKeys: ["task", "t", "数字"], metrics: ["acc"])
        let pieces = Array("\"\\:<>=!- \u{0}%'a1あ\u{301}\u{202E}".unicodeScalars)
        var state: UInt64 = 7
        func draw(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var understood = 0
        for round in 0..<20_000 {
            var scalars = seeds[round % seeds.count]
            for _ in 0...draw(4) {
                let place = draw(scalars.count)
                if draw(2) == 0 {
                    scalars.remove(at: place)
                } else {
                    scalars.insert(pieces[draw(pieces.count)], at: place)
                }
            }
            var text = ""
            text.unicodeScalars.append(contentsOf: scalars)
            let failure = code {
                for term in try FindQuery(parsing: text).terms {
                    let condition = try FindCondition(term: term, vocabulary: vocabulary)
                    // Values are arguments: nothing of the query stands in the SQL.
                    #expect(!condition.sql.contains("漢") && !condition.sql.contains("incremental"))
                }
            }
            #expect(failure == nil || failure == .usageBadQuery)
            if failure == nil { understood += 1 }
        }
        #expect(understood > 1_000 && understood < 19_900)
    }

    @Test func `any bytes are a query or an error, never a crash or an SQL error`() throws {
        let folder = try TemporaryFolder()
        let bank = try folder.newBank()
        try bank.importSample("a", tags: ["k=v"], in: folder)
        let pieces = Array(
            "ab:<>=!\"\\-'%_*(){}^+\u{0}\u{7F} あ数漢\u{301}0.9kNEAR AND OR NOT rank state acc k tag:".unicodeScalars)
        var state: UInt64 = 1
        var understood = 0
        for _ in 0..<1_500 {
            var text = ""
            for _ in 0..<12 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                text.unicodeScalars.append(pieces[Int(state >> 33) % pieces.count])
            }
            do {
                _ = try bank.find(text)
                understood += 1
            } catch let failure as Failure { #expect(failure.code == .usageBadQuery, "\(text): \(failure)") }
        }
        #expect(understood > 25)
    }
}

@Suite struct FindTests {
    func sampleBank(_ folder: TemporaryFolder) throws -> Bank {
        let bank = try folder.newBank()
        try bank.importSample("vit-cifar-t1", seed: 1, tags: ["task=cifar", "seed=1"], rank: 4, in: folder)
        try bank.importSample("vit-cifar-t2", seed: 2, tags: ["task=cifar", "seed=2"], rank: 8, in: folder)
        try bank.importSample("vit-mnist", seed: 3, tags: ["task=mnist", "final"], rank: 4, in: folder)
        try bank.importSample("手書き数字アダプタ", seed: 4, tags: ["言語=日本語"], rank: 2, in: folder)
        try bank.approve("vit-cifar-t2", reason: "measured")
        try bank.note("vit-cifar-t1", "trained by class incremental learning with replay")
        try bank.note("手書き数字アダプタ", "漢字も含む")
        try bank.record([Metric(dataset: "cifar", split: "test", name: "acc_global", value: 0.8)], for: "vit-cifar-t1")
        try bank.record([Metric(dataset: "cifar", split: "test", name: "acc_global", value: 0.6)], for: "vit-cifar-t2")
        try bank.alias("vit-mnist", "best")
        return bank
    }

    @Test(arguments: [
        ("task:cifar", ["vit-cifar-t1", "vit-cifar-t2"]),
        ("task:cifar state:approved", ["vit-cifar-t2"]),
        ("task:cifar -state:approved", ["vit-cifar-t1"]),
        ("rank<=4 task:cifar", ["vit-cifar-t1"]),
        ("rank>4", ["vit-cifar-t2"]), ("rank:2", ["手書き数字アダプタ"]),
        ("acc>0.7", ["vit-cifar-t1"]), ("acc_global>=60%", ["vit-cifar-t1", "vit-cifar-t2"]), ("acc>0.9", []),
        ("\"class incremental\"", ["vit-cifar-t1"]), ("\"incremental class\"", []),
        ("tag:final", ["vit-mnist"]), ("tag:task=mnist", ["vit-mnist"]), ("seed>1", ["vit-cifar-t2"]),
        ("name:MNIST", ["vit-mnist"]), ("base:tiny rank<=2", ["手書き数字アダプタ"]), ("alias:best", ["vit-mnist"]),
        ("module:q_proj", ["vit-cifar-t1", "vit-cifar-t2", "vit-mnist", "手書き数字アダプタ"]),
        ("q_proj mnist", ["vit-mnist"]), ("cif", ["vit-cifar-t1", "vit-cifar-t2"]),
        ("ifar", ["vit-cifar-t1", "vit-cifar-t2"]),
        ("replay", ["vit-cifar-t1"]), ("note:replay", ["vit-cifar-t1"]),
        ("手書き", ["手書き数字アダプタ"]), ("数字アダ", ["手書き数字アダプタ"]), ("数字", ["手書き数字アダプタ"]),
        ("字", ["手書き数字アダプタ"]), ("漢字も", ["手書き数字アダプタ"]), ("漢字", ["手書き数字アダプタ"]),
        ("言語:日本語", ["手書き数字アダプタ"]), ("本語", ["手書き数字アダプタ"]), ("鉄道", []),
        ("t1", ["vit-cifar-t1"]), ("100%", []), ("_", []),
        ("format:peft dtype:f32 task:mnist", ["vit-mnist"]), ("bytes<1GiB seed:1", ["vit-cifar-t1"]),
        ("created>2020 created<2100-01 final:\"\"", []),
        ("", ["vit-cifar-t1", "vit-cifar-t2", "vit-mnist", "手書き数字アダプタ"]),
    ])
    func `queries find what they say`(_ query: String, _ expected: [String]) throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        guard !query.hasSuffix("\"\"") else {
            return #expect(code { _ = try bank.find(query) } == .usageBadQuery)
        }
        #expect(try bank.find(query).map(\.name) == expected, "\(query)")
    }

    @Test(arguments: [
        ("taks:cifar", "task"), ("rnak<=8", "rank"), ("state:aproved", "approved"), ("rank<=many", nil),
        ("zzz:1", "fields are"),
        ("name<3", "name:3"), ("tag:=x", "tag:key"),
    ])
    func `a wrong query is corrected`(_ query: String, _ hint: String?) throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        let failure = try #require(throws: Failure.self) { try bank.find(query) }
        #expect(failure.code == .usageBadQuery)
        #expect(failure.code.exitStatus == 2)
        if let hint { #expect(failure.hint?.contains(hint) == true, "\(failure)") }
    }

    @Test func `the index follows every change`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        try bank.tag("vit-mnist", [Tag(key: "colour", value: "ultramarine")])
        #expect(try bank.find("ultramarine").map(\.name) == ["vit-mnist"])
        try bank.untag("vit-mnist", [TagFilter(key: "colour")])
        #expect(try bank.find("ultramarine").isEmpty)
        _ = try bank.undo()
        #expect(try bank.find("ultramarine").map(\.name) == ["vit-mnist"])
        try bank.remove("vit-mnist")
        #expect(try bank.find("ultramarine").isEmpty)
    }

    @Test func `parents and children are fields`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        let parent = try bank.row(for: "vit-mnist")
        let workspace = try bank.workspace()
        try SampleAdapter(seed: 30).write(to: workspace.folder)
        _ = try workspace.commit(
            BankProduct(
                name: "m", source: .merge,
                parents: [LineageParent(object: parent.object, reference: parent.reference)]))
        #expect(try bank.find("parent:vit-mnist").map(\.name) == ["m"])
        #expect(try bank.find("parent:vit-mnist@1").map(\.name) == ["m"])
        #expect(try bank.find("child:m").map(\.name) == ["vit-mnist"])
        #expect(try bank.find("source:merge").map(\.name) == ["m"])
    }

    @Test func `lists filter and sort`() throws {
        let folder = try TemporaryFolder()
        let bank = try sampleBank(folder)
        func names(_ filter: ListFilter) throws -> [String] { try bank.list(filter).map(\.name) }
        #expect(
            try names(ListFilter(tags: [TagFilter(parsing: "task=cifar")], sort: SortOrder(parsing: "-rank")))
                == ["vit-cifar-t2", "vit-cifar-t1"])
        #expect(
            try names(ListFilter(tags: [TagFilter(parsing: "task"), TagFilter(parsing: "seed")]))
                == ["vit-cifar-t1", "vit-cifar-t2"])
        #expect(try names(ListFilter(states: [.approved])) == ["vit-cifar-t2"])
        #expect(try names(ListFilter(states: [.approved, .pending])).count == 4)
        #expect(try names(ListFilter(sort: SortOrder(parsing: "-created"))).first == "手書き数字アダプタ")
        for key in SortOrder.Key.allCases { #expect(try names(ListFilter(sort: SortOrder(key: key))).count == 4) }
        let failure = try #require(throws: Failure.self) { try SortOrder(parsing: "bites") }
        #expect(failure.hint?.contains("bytes") == true)
    }
}
