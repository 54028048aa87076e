// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BlobOpening} from "../../src/lib/BlobOpening.sol";
import {VmTest} from "../support/Vm.sol";

/// @notice The library as a contract, so that its calldata are calldata.
contract BlobOpener {
    function evaluate(bytes calldata data, uint256 z) external pure returns (uint256) {
        return BlobOpening.evaluate(data, z);
    }

    function challengePoint(bytes32 versionedHash, bytes calldata data) external pure returns (uint256) {
        return BlobOpening.challengePoint(versionedHash, data);
    }

    function requireData(bytes32 versionedHash, bytes calldata data, bytes calldata commitment, bytes calldata proof)
        external
        view
    {
        BlobOpening.requireData(versionedHash, data, commitment, proof);
    }

    function requireElement(
        bytes32 versionedHash,
        uint256 index,
        uint256 value,
        bytes calldata commitment,
        bytes calldata proof
    ) external view {
        BlobOpening.requireElement(versionedHash, index, value, commitment, proof);
    }
}

/// @notice Openings of real blobs (tools/reference/blob-vectors.mjs: c-kzg and the textbook formula).
contract BlobsTest is VmTest {
    struct Opening {
        bytes data;
        bytes32 versionedHash;
        bytes commitment;
        bytes proof;
        uint256 z;
        uint256 y;
    }

    uint256 private constant CHALLENGE_GAS_MAX = 12_000_000;

    BlobOpener private _opener;
    string private _json;

    function setUp() external {
        _opener = new BlobOpener();
        _json = vm.readFile("vectors/blobs.json");
    }

    function stream(uint256 seed, uint256 length) private pure returns (bytes memory data) {
        data = new bytes(length + 32);
        for (uint256 i = 0; 32 * i < length; ++i) {
            bytes32 part = keccak256(abi.encode(seed, i));
            assembly ("memory-safe") {
                mstore(add(add(data, 32), mul(32, i)), part)
            }
        }
        assembly ("memory-safe") {
            mstore(data, length)
        }
    }

    function openingAt(uint256 i) private view returns (Opening memory opening) {
        string memory json = _json;
        string memory place = string.concat(".openings[", vm.toString(i), "]");
        opening.data = stream(
            vm.parseJsonUint(json, string.concat(place, ".seed")),
            vm.parseJsonUint(json, string.concat(place, ".length"))
        );
        opening.versionedHash = vm.parseJsonBytes32(json, string.concat(place, ".versionedHash"));
        opening.commitment = vm.parseJsonBytes(json, string.concat(place, ".commitment"));
        opening.proof = vm.parseJsonBytes(json, string.concat(place, ".proof"));
        opening.z = uint256(vm.parseJsonBytes32(json, string.concat(place, ".z")));
        opening.y = uint256(vm.parseJsonBytes32(json, string.concat(place, ".y")));
    }

    function test_openingsOfRealBlobs() external view {
        uint256 count = vm.parseJsonUint(_json, ".counts.openings");
        vm.assertTrue(count > 10);
        for (uint256 i = 0; i < count; ++i) {
            Opening memory o = openingAt(i);
            vm.assertEq(_opener.challengePoint(o.versionedHash, o.data), o.z, "z");
            vm.assertEq(_opener.evaluate(o.data, o.z), o.y, "y");
            uint256 gas = gasleft();
            _opener.requireData(o.versionedHash, o.data, o.commitment, o.proof);
            gas -= gasleft();
            vm.assertLt(gas, CHALLENGE_GAS_MAX / 4, "gas");
        }
    }

    function test_otherDataAreNotTheBlobs() external {
        Opening memory o = openingAt(7);
        bytes memory right = o.data;
        for (uint256 place = 0; place < right.length; place += 97) {
            bytes memory wrong = bytes.concat(right);
            wrong[place] = bytes1(uint8(wrong[place]) ^ uint8(1 << (place % 8)));
            vm.expectRevert(BlobOpening.OpeningRefused.selector);
            _opener.requireData(o.versionedHash, wrong, o.commitment, o.proof);
        }
        // The same polynomial, but z is the data's: zeros appended are other data.
        vm.expectRevert(BlobOpening.OpeningRefused.selector);
        _opener.requireData(o.versionedHash, bytes.concat(right, hex"00"), o.commitment, o.proof);
        vm.expectRevert(BlobOpening.OpeningRefused.selector);
        _opener.requireData(bytes32(uint256(o.versionedHash) ^ 1), right, o.commitment, o.proof);
        vm.expectRevert(BlobOpening.OpeningRefused.selector);
        _opener.requireData(o.versionedHash, right, o.commitment, hex"");
        bytes memory proof = openingAt(8).proof;
        vm.expectRevert(BlobOpening.OpeningRefused.selector);
        _opener.requireData(o.versionedHash, right, o.commitment, proof);
    }

    function test_elements() external {
        string memory json = _json;
        uint256 count = vm.parseJsonUint(json, ".counts.elements");
        uint256 dataLength = vm.parseJsonUint(json, ".elementDataLength");
        uint256 foreign = 0;
        for (uint256 i = 0; i < count; ++i) {
            string memory place = string.concat(".elements[", vm.toString(i), "]");
            uint256 index = vm.parseJsonUint(json, string.concat(place, ".index"));
            uint256 value = uint256(vm.parseJsonBytes32(json, string.concat(place, ".value")));
            vm.assertEq(
                BlobOpening.rootAt(index), uint256(vm.parseJsonBytes32(json, string.concat(place, ".root"))), "root"
            );
            bytes32 versionedHash = vm.parseJsonBytes32(json, string.concat(place, ".versionedHash"));
            bytes memory commitment = vm.parseJsonBytes(json, string.concat(place, ".commitment"));
            bytes memory proof = vm.parseJsonBytes(json, string.concat(place, ".proof"));
            _opener.requireElement(versionedHash, index, value, commitment, proof);
            if (BlobOpening.isForeign(index, value, dataLength)) ++foreign;
            vm.expectRevert(BlobOpening.OpeningRefused.selector);
            _opener.requireElement(versionedHash, index, value ^ 1, commitment, proof);
            vm.expectRevert(BlobOpening.OpeningRefused.selector);
            _opener.requireElement(versionedHash, index ^ 1, value, commitment, proof);
        }
        // All but the right one, the changed data byte and the zero.
        vm.assertEq(foreign, count - 3);
        vm.expectRevert(abi.encodeWithSelector(BlobOpening.IndexOutOfRange.selector, 4096));
        _opener.requireElement(0, 4096, 0, "", "");
        vm.expectRevert(BlobOpening.ValueNotCanonical.selector);
        _opener.requireElement(0, 0, BlobOpening.MODULUS, "", "");
    }

    /// @notice Too little gas for the precompile is no answer.
    function test_gasGuard() external {
        Opening memory o = openingAt(1);
        bytes memory call = abi.encodeCall(BlobOpener.requireData, (o.versionedHash, o.data, o.commitment, o.proof));
        bool hasPassed = false;
        for (uint256 gas = 10_000; gas < 130_000; gas += 1_000) {
            (bool success, bytes memory reason) = address(_opener).call{gas: gas}(call);
            if (success) {
                hasPassed = true;
                continue;
            }
            vm.assertFalse(hasPassed);
            bool isGas = reason.length == 0 || bytes4(reason) == BlobOpening.GasTooLow.selector;
            vm.assertTrue(isGas, "a refusal for lack of gas");
        }
        vm.assertTrue(hasPassed);
    }

    // ── evaluation ─────────────────────────────────────────────────────────────────────────────────────────────────

    function power(uint256 base, uint256 exponent) private pure returns (uint256 result) {
        result = 1;
        for (; exponent > 0; exponent >>= 1) {
            if (exponent & 1 == 1) result = mulmod(result, base, BlobOpening.MODULUS);
            base = mulmod(base, base, BlobOpening.MODULUS);
        }
    }

    /// @notice At a root of unity the polynomial has that element: the evaluation has no special points.
    function testFuzz_rootsGiveElements(uint256 seed, uint256 length, uint256 index) external view {
        length = length % 3_000;
        index = index % 4096;
        bytes memory data = stream(seed, length);
        uint256 element = 0;
        for (uint256 i = 31 * index; i < 31 * index + 31; ++i) {
            element = (element << 8) | (i < length ? uint8(data[i]) : 0);
        }
        vm.assertEq(_opener.evaluate(data, BlobOpening.rootAt(index)), element);
    }

    /// @notice The barycentric formula, element by element.
    function testFuzz_evaluationIsBarycentric(uint256 seed, uint256 length, uint256 z) external view {
        length = 1 + length % 400;
        z = z % BlobOpening.MODULUS;
        bytes memory data = stream(seed, length);
        uint256 sum = 0;
        for (uint256 index = 0; 31 * index < length; ++index) {
            uint256 element = 0;
            for (uint256 i = 31 * index; i < 31 * index + 31; ++i) {
                element = (element << 8) | (i < length ? uint8(data[i]) : 0);
            }
            uint256 root = BlobOpening.rootAt(index);
            uint256 divisor = addmod(z, BlobOpening.MODULUS - root, BlobOpening.MODULUS);
            vm.assume(divisor != 0);
            uint256 term = mulmod(element, root, BlobOpening.MODULUS);
            sum = addmod(
                sum, mulmod(term, power(divisor, BlobOpening.MODULUS - 2), BlobOpening.MODULUS), BlobOpening.MODULUS
            );
        }
        uint256 scale = mulmod(
            addmod(power(z, 4096), BlobOpening.MODULUS - 1, BlobOpening.MODULUS),
            power(4096, BlobOpening.MODULUS - 2),
            BlobOpening.MODULUS
        );
        vm.assertEq(_opener.evaluate(data, z), mulmod(sum, scale, BlobOpening.MODULUS));
    }

    /// @notice An element is foreign exactly when it is not what its own bytes within the data make.
    function testFuzz_foreign(uint256 index, uint256 value, uint256 dataLength, uint256 shape) external pure {
        index = index % 4096;
        dataLength = dataLength % 126_977;
        if (shape % 4 == 0) dataLength = 31 * index + shape % 33;
        value >>= shape % 10;
        if (shape % 3 == 0) value = (value << (8 * (shape % 32))) % 2 ** 248;
        uint256 kept = 0;
        for (uint256 i = 0; i < 31; ++i) {
            if (31 * index + i < dataLength) kept |= value & (uint256(0xff) << (8 * (30 - i)));
        }
        vm.assertTrue(BlobOpening.isForeign(index, value, dataLength) == (kept != value));
    }
}
