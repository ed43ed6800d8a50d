import Testing

@testable import Diagnostics

@Suite struct ErrorPageTests {
    @Test func `every code has exactly one page, and no page is without a code`() {
        let codes = ErrorCode.all.map(\.name) + FindingCode.all.map(\.name)
        let pages = ErrorPage.all.map(\.code)
        #expect(Set(pages).count == pages.count)
        #expect(Set(codes).subtracting(pages).isEmpty, "without a page: \(Set(codes).subtracting(pages).sorted())")
        #expect(Set(pages).subtracting(codes).isEmpty, "without a code: \(Set(pages).subtracting(codes).sorted())")
    }

    @Test(arguments: ErrorPage.all.map(\.code))
    func `a page tells cause, example and remedy`(code: String) throws {
        let page = try #require(ErrorPage.page(for: code))
        #expect(page.cause.hasSuffix(".") || page.cause.hasSuffix(")"))
        #expect(!page.example.isEmpty)
        #expect(page.remedy.count > 10)
        #expect(page.code.hasPrefix(page.area + "."))
    }

    @Test func `the exit status of an error is that of its class`() {
        #expect(ErrorPage.page(for: "archive.bomb")?.exitStatus == 4)
        #expect(ErrorPage.page(for: "weights.zero_delta")?.exitStatus == nil)
        #expect(ErrorPage.page(for: "nothing.here") == nil)
    }
}
