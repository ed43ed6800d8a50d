// swift-tools-version: 6.3
import PackageDescription

// Swift takes its own target features from the clang importer's -march; -fno-math-errno turns `.squareRoot()`
// into one instruction. A program built this way needs AVX2 and FMA; `lorabank` checks once at start and says so.
#if arch(x86_64)
    let vectorFlags = ["-Xcc", "-march=x86-64-v3", "-Xcc", "-fno-math-errno"]
#else
    let vectorFlags = ["-Xcc", "-fno-math-errno"]
#endif
let vector: [SwiftSetting] = [.unsafeFlags(vectorFlags, .when(configuration: .release))]
// The layers are generic over the element type: without the optimiser they run a thousand times slower, so that
// tests that train something would take hours. The module is therefore optimised in debug builds too.
let optimised: [SwiftSetting] = [
    .unsafeFlags(vectorFlags),
    .unsafeFlags(["-O", "-whole-module-optimization", "-num-threads", "2"], .when(configuration: .debug)),
]

let package = Package(
    name: "lorabank-toolkit",
    products: [
        .executable(name: "lorabank", targets: ["lorabank"]),
        .executable(name: "lorabank-bench", targets: ["lorabank-bench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    ],
    targets: [
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CLAPACKE", pkgConfig: "lapacke", providers: [.apt(["liblapacke-dev"])]),
        .systemLibrary(name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CTurboJPEG", pkgConfig: "libturbojpeg", providers: [.apt(["libturbojpeg0-dev"])]),
        .target(name: "CVector", cSettings: [.unsafeFlags(["-O2"], .when(configuration: .debug))]),
        .target(name: "Diagnostics"),
        .target(name: "Settings", dependencies: ["Diagnostics", .product(name: "Yams", package: "Yams")]),
        .target(name: "Digests", dependencies: [.product(name: "Crypto", package: "swift-crypto")]),
        .target(name: "Tensors", dependencies: ["CVector", "Diagnostics"], swiftSettings: vector),
        .target(
            name: "LinearAlgebra", dependencies: ["Tensors", "Diagnostics", "COpenBLAS", "CLAPACKE"],
            swiftSettings: vector),
        .target(
            name: "WeightFiles", dependencies: ["Tensors", "Diagnostics", "Digests", "CArchive"],
            swiftSettings: vector),
        .target(
            name: "Adapters", dependencies: ["WeightFiles", "Tensors", "LinearAlgebra", "Diagnostics", "Digests"],
            swiftSettings: vector),
        .target(
            name: "Governance",
            dependencies: ["Adapters", "WeightFiles", "Tensors", "LinearAlgebra", "Diagnostics", "Digests"],
            swiftSettings: vector),
        .target(
            name: "Bank",
            dependencies: [
                "Governance", "Adapters", "WeightFiles", "Tensors", "Diagnostics", "Digests",
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        .target(
            name: "Merging",
            dependencies: [
                "Settings", "Adapters", "WeightFiles", "LinearAlgebra", "Tensors", "Diagnostics", "Digests",
            ], swiftSettings: vector),
        .target(
            name: "Training",
            dependencies: [
                "Settings", "Networks", "WeightFiles", "LinearAlgebra", "Tensors", "Diagnostics", "Digests", "CPNG",
                "CTurboJPEG",
            ], swiftSettings: vector),
        .target(
            name: "Evaluation",
            dependencies: [
                "Settings", "Training", "Networks", "Adapters", "WeightFiles", "LinearAlgebra", "Tensors",
                "Diagnostics",
            ], swiftSettings: vector),
        .target(
            name: "ContinualLearning",
            dependencies: [
                "Settings", "Evaluation", "Training", "Networks", "Merging", "WeightFiles", "Adapters",
                "LinearAlgebra", "Tensors", "Diagnostics", "Digests",
            ], swiftSettings: vector),
        .target(
            name: "Routing",
            dependencies: [
                "Settings", "Evaluation", "Training", "Networks", "Merging", "WeightFiles", "Adapters",
                "LinearAlgebra", "Tensors", "Diagnostics", "Digests",
            ], swiftSettings: vector),
        .target(
            name: "Networks", dependencies: ["Adapters", "WeightFiles", "LinearAlgebra", "Tensors", "Diagnostics"],
            swiftSettings: optimised),
        .target(name: "Reports", dependencies: ["Diagnostics"]),
        .executableTarget(
            name: "lorabank",
            dependencies: [
                "Bank", "Governance", "Merging", "Settings", "Adapters", "WeightFiles", "Tensors", "LinearAlgebra",
                "Reports", "ContinualLearning", "Routing", "Evaluation", "Training", "Networks",
                "Diagnostics", "Digests", "CVector",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .executableTarget(
            name: "lorabank-bench",
            dependencies: [
                "Bank", "Merging", "Adapters", "WeightFiles", "Tensors", "LinearAlgebra", "Reports", "Diagnostics",
                "Digests", "Networks", "Routing", "Evaluation", "Training",
            ], swiftSettings: vector),
        .testTarget(name: "DiagnosticsTests", dependencies: ["Diagnostics"]),
        .testTarget(name: "DigestsTests", dependencies: ["Digests"]),
        .testTarget(name: "TensorsTests", dependencies: ["Tensors", "Diagnostics"]),
        .testTarget(name: "LinearAlgebraTests", dependencies: ["LinearAlgebra", "Tensors", "Diagnostics"]),
        .testTarget(name: "WeightFilesTests", dependencies: ["WeightFiles", "Tensors", "Diagnostics", "Digests"]),
        .testTarget(
            name: "AdaptersTests",
            dependencies: ["Adapters", "WeightFiles", "Tensors", "LinearAlgebra", "Diagnostics", "Digests"],
            exclude: ["Fixtures"]),
        .testTarget(
            name: "GovernanceTests",
            dependencies: ["Governance", "Adapters", "WeightFiles", "Tensors", "Diagnostics", "Digests"]),
        .testTarget(
            name: "BankTests",
            dependencies: ["Bank", "Governance", "Adapters", "WeightFiles", "Tensors", "Diagnostics", "Digests"]),
        .testTarget(
            name: "MergingTests",
            dependencies: [
                "Merging", "Settings", "Adapters", "WeightFiles", "LinearAlgebra", "Tensors", "Diagnostics", "Digests",
            ],
            resources: [.copy("Fixtures")]),
        .testTarget(
            name: "TrainingTests",
            dependencies: ["Training", "Settings", "Networks", "WeightFiles", "Tensors", "Diagnostics", "Digests"],
            resources: [.copy("Fixtures")]),
        .testTarget(
            name: "EvaluationTests",
            dependencies: [
                "Evaluation", "Settings", "Training", "Networks", "Merging", "Adapters", "WeightFiles", "Tensors",
                "Diagnostics",
            ], resources: [.copy("Fixtures")]),
        .testTarget(
            name: "ContinualLearningTests",
            dependencies: [
                "ContinualLearning", "Settings", "Evaluation", "Training", "Networks", "Merging", "Adapters",
                "WeightFiles", "LinearAlgebra", "Tensors", "Diagnostics", "Digests",
            ]),
        .testTarget(
            name: "RoutingTests",
            dependencies: [
                "Routing", "Settings", "Evaluation", "Training", "Networks", "Merging", "Adapters", "WeightFiles",
                "LinearAlgebra", "Tensors", "Diagnostics", "Digests",
            ]),
        .testTarget(
            name: "NetworksTests",
            dependencies: ["Networks", "Adapters", "WeightFiles", "LinearAlgebra", "Tensors", "Diagnostics"],
            resources: [.copy("Fixtures")]),
        .testTarget(name: "ReportsTests", dependencies: ["Reports", "Diagnostics"]),
        .testTarget(name: "HouseTests"),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "lorabank", "WeightFiles", "Tensors", "Adapters", "Diagnostics", "Digests",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
