import Testing

@testable import Diagnostics

@Suite struct FailureTests {
    @Test func `a path is filled in once`() {
        let failure = Failure(.configMissing, "no adapter_config.json")
        #expect(failure.at(path: "a").path == "a")
        #expect(failure.at(path: "a").at(path: "b").path == "a")
        #expect(failure.path == nil)
    }

    @Test func `names of codes are unique, stable in form, and belong to an area`() {
        let names = ErrorCode.all.map(\.name) + FindingCode.all.map(\.name)
        #expect(Set(names).count == names.count)
        for name in names {
            let parts = name.split(separator: ".", omittingEmptySubsequences: false)
            #expect(parts.count == 2, "\(name)")
            #expect(name.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "." || $0 == "_" }, "\(name)")
        }
        #expect(ErrorCode.safetensorsOverlap.area == "safetensors")
    }

    @Test(arguments: [
        (ErrorCode.safetensorsHole, Int32(3)), (.pathDotdot, 4), (.archiveEncrypted, 5), (.bankMissing, 6),
        (.outputExists, 7), (.policyNotApproved, 8), (.bankCorrupt, 9), (.ioNoSpace, 10), (.bankLocked, 12),
        (.usageBadArgument, 2), (.internalDefect, 1),
    ])
    func `the class of a code is the exit status`(code: ErrorCode, status: Int32) {
        #expect(code.exitStatus == status)
    }

    @Test func `class names are those of the JSON output`() {
        #expect(ErrorClass.allCases.map(\.name).contains("not_found"))
        #expect(Set(ErrorClass.allCases.map(\.name)).count == ErrorClass.allCases.count)
    }

    @Test func `levels of findings are ordered`() {
        #expect(FindingLevel.info < .warning)
        #expect(FindingLevel.warning < .error)
        #expect(Finding(.pickleIgnored, .info).code == "pickle.ignored")
    }
}
