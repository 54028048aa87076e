// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchHeader} from "../../src/chain/IBatchChain.sol";
import {Custody, OutboxCell, StateRoots} from "../../src/custody/Custody.sol";
import {FraudFixture} from "../support/FraudFixture.sol";
import {Reference} from "../support/Reference.sol";

/// @notice Gas of whole transactions, calldata and its floor (EIP-7623) included. tools/gas-report.mjs runs these in
/// isolation and renders contracts/gas.md.
contract GasTest is FraudFixture {
    struct LargestBlob {
        BatchHeader header;
        bytes data;
        bytes commitment;
        bytes proof;
    }

    /// @dev Most that one transaction may use (EIP-7825).
    uint256 private constant TRANSACTION_GAS_MAX = 2 ** 24;

    /// @dev Most that a challenge may use, and its calldata.
    uint256 private constant CHALLENGE_GAS_MAX = 12_000_000;
    uint256 private constant CHALLENGE_BYTES_MAX = 112 * 1024;
    uint256 private constant LARGEST_CYCLES = 256;
    uint256 private constant LARGEST_PAYLOAD_BYTES = 404;

    function setUp() external {
        deployFraud(true);
        fund(ALICE, 1_000_000_000);
        vm.prank(ALICE);
        custody.openAccountAndDeposit(1_000_000);
        postAndFinalise(keccak256("first"));
    }

    function testGas_openAccount() external {
        vm.startPrank(BOB);
        custody.openAccount();
        vm.snapshotGasLastCall("gas", "01 openAccount");
    }

    function testGas_deposit() external {
        vm.startPrank(ALICE);
        custody.deposit(2, 1_000_000);
        vm.snapshotGasLastCall("gas", "02 deposit");
    }

    function testGas_forceWithdrawal() external {
        vm.startPrank(ALICE);
        custody.forceWithdrawal(2, 1_000_000, ALICE);
        vm.snapshotGasLastCall("gas", "03 forceWithdrawal");
    }

    function testGas_listSeriesOf120Strikes() external {
        uint64[] memory strikes = new uint64[](120);
        for (uint64 i = 0; i < 120; ++i) {
            strikes[i] = 2 ** 49 + i;
        }
        vm.startPrank(LISTER);
        custody.listSeries(1, 1_900_000_000_000, strikes);
        vm.snapshotGasLastCall("gas", "04 listSeries, 120 strikes");
    }

    function testGas_postOneCycleOf200Bytes() external {
        measurePost(1, 200, "05 postBatch, 1 cycle, 236 bytes");
    }

    function testGas_postTypical() external {
        measurePost(20, 500, "06 postBatch, 20 cycles, 10,720 bytes");
    }

    function testGas_postWorstCase() external {
        uint256 gas = measurePost(256, 444, "07 postBatch, 256 cycles, 122,880 bytes");
        vm.assertLt(gas, TRANSACTION_GAS_MAX, "worst batch");
    }

    function testGas_postLongCycles() external {
        uint256 gas = measurePost(2, 61_404, "08 postBatch, 2 cycles, 122,880 bytes");
        vm.assertLt(gas, TRANSACTION_GAS_MAX, "longest cycles");
    }

    function testGas_finalise() external {
        uint64 number = postNext(keccak256("second"));
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(number);
        vm.snapshotGasLastCall("gas", "09 finalise");
    }

    function testGas_dropFrom() external {
        uint64 number = postNext(keccak256("second"));
        postNext(keccak256("third"));
        vm.startPrank(address(dispute));
        chain.dropFrom(number, BOB);
        vm.snapshotGasLastCall("gas", "10 dropFrom");
    }

    function testGas_withdrawBond() external {
        vm.startPrank(PROPOSER);
        chain.withdrawBond();
        vm.snapshotGasLastCall("gas", "11 withdrawBond");
    }

    function testGas_claim() external {
        OutboxCell memory cell = OutboxCell(2, 0, 400, uint64(block.chainid), BOB);
        (uint64 number, StateRoots memory roots, bytes32[] memory path) = finalOutbox(cell, 0xffffffff);
        custody.claim(number, roots, 0xffffffff, cell, path);
        vm.snapshotGasLastCall("gas", "12 claim, new recipient");
    }

    // ── blobs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    function stream(uint256 seed, uint256 length) private pure returns (bytes memory data) {
        for (uint256 i = 0; 32 * i < length; ++i) {
            data = bytes.concat(data, keccak256(abi.encode(seed, i)));
        }
        assembly ("memory-safe") {
            mstore(data, length)
        }
    }

    /// @notice 256 cycles and 112,640 bytes in a real blob (tools/reference/blob-vectors.mjs).
    function largestBlob() private view returns (LargestBlob memory blob) {
        string memory json = vm.readFile("vectors/blobs.json");
        bytes32[] memory leaves = new bytes32[](LARGEST_CYCLES);
        bytes[] memory parts = new bytes[](LARGEST_CYCLES);
        bytes32 postRoot;
        for (uint256 i = 0; i < LARGEST_CYCLES; ++i) {
            postRoot = keccak256(abi.encode(2_000 + i, 0));
            bytes memory payload = stream(1_000 + i, LARGEST_PAYLOAD_BYTES);
            leaves[i] = Reference.cycleLeaf(payload, postRoot);
            parts[i] = bytes.concat(bytes4(uint32(LARGEST_PAYLOAD_BYTES)), postRoot, payload);
        }
        blob.data = joined(parts, 0, LARGEST_CYCLES);
        blob.commitment = vm.parseJsonBytes(json, ".frames.largest.commitment");
        blob.proof = vm.parseJsonBytes(json, ".frames.largest.proof");
        (blob.header,) = nextBatch(1, postRoot);
        blob.header.cycleCount = uint32(LARGEST_CYCLES);
        blob.header.cyclesRoot = Reference.cyclesRoot(leaves, 0, LARGEST_CYCLES);
        blob.header.dataMode = 1;
        blob.header.dataHash = vm.parseJsonBytes32(json, ".frames.largest.versionedHash");
        blob.header.dataLength = uint32(blob.data.length);
    }

    function joined(bytes[] memory parts, uint256 from, uint256 to) private pure returns (bytes memory) {
        if (to - from == 1) return parts[from];
        uint256 middle = (from + to) / 2;
        return bytes.concat(joined(parts, from, middle), joined(parts, middle, to));
    }

    /// @dev Slot of BatchChain's records; a batch's hash comes first.
    uint256 private constant BATCHES_SLOT = 2;

    /// @notice Blobs do not go together with isolation: another batch is posted, and its hash becomes this header's.
    function postAs(BatchHeader memory header) private {
        (BatchHeader memory other, bytes memory data) = nextBatch(1, header.postStateRoot);
        post(other, data);
        bytes32 batchHash = keccak256(abi.encode(header));
        vm.store(address(chain), keccak256(abi.encode(header.number, BATCHES_SLOT)), batchHash);
        vm.assertEq(chain.batch(header.number).batchHash, batchHash);
    }

    function testGas_challengeBlob() external {
        LargestBlob memory blob = largestBlob();
        blob.header.cyclesRoot = keccak256("other");
        postAs(blob.header);
        vm.startPrank(BOB);
        dispute.challengeBlob(blob.header, blob.data, blob.commitment, blob.proof);
        uint256 gas = vm.snapshotGasLastCall("gas", "13 challengeBlob, 256 cycles, 112,640 bytes");
        vm.assertEq(chain.lastNumber(), 1);
        bytes memory call = abi.encodeCall(dispute.challengeBlob, (blob.header, blob.data, blob.commitment, blob.proof));
        vm.assertTrue(call.length <= CHALLENGE_BYTES_MAX, "bytes");
        vm.assertLt(gas + floorGas(call), CHALLENGE_GAS_MAX, "gas");
    }

    function testGas_challengeBlobElement() external {
        string memory json = vm.readFile("vectors/blobs.json");
        (BatchHeader memory header,) = nextBatch(1, keccak256("next"));
        header.dataMode = 1;
        header.dataHash = vm.parseJsonBytes32(json, ".elements[1].versionedHash");
        header.dataLength = 100;
        postAs(header);
        uint256 value = uint256(vm.parseJsonBytes32(json, ".elements[1].value"));
        bytes memory commitment = vm.parseJsonBytes(json, ".elements[1].commitment");
        bytes memory proof = vm.parseJsonBytes(json, ".elements[1].proof");
        vm.startPrank(BOB);
        dispute.challengeBlobElement(header, 0, value, commitment, proof);
        vm.snapshotGasLastCall("gas", "14 challengeBlobElement");
    }

    function testGas_affirmBlob() external {
        LargestBlob memory blob = largestBlob();
        postAs(blob.header);
        affirmation.affirmBlob(blob.header, blob.data, blob.commitment, blob.proof);
        vm.snapshotGasLastCall("gas", "15 affirmBlob, 256 cycles, 112,640 bytes");
    }

    /// @notice Every byte of the data is nonzero but the lengths' leading ones: the dearest calldata of that size.
    function measurePost(uint256 count, uint256 payloadBytes, string memory name) private returns (uint256 gas) {
        (BatchHeader memory header,) = nextBatch(1, keccak256("next"));
        header.cycleCount = uint32(count);
        bytes memory data;
        (data, header.cyclesRoot) = cycles(count, payloadBytes, header.postStateRoot);
        header.dataLength = uint32(data.length);
        vm.startPrank(PROPOSER, PROPOSER);
        chain.postBatch{value: BOND}(header, data);
        gas = vm.snapshotGasLastCall("gas", name);
        vm.stopPrank();
        // Outside isolation the snapshot holds execution alone.
        uint256 calldataFloor = floorGas(abi.encodeCall(chain.postBatch, (header, data)));
        if (gas < calldataFloor) gas += calldataFloor;
    }

    /// @dev EIP-7623: 21,000 + 10 a token; a zero byte is one token, any other four.
    function floorGas(bytes memory call) private pure returns (uint256) {
        uint256 tokens = 0;
        for (uint256 i = 0; i < call.length; ++i) {
            tokens += call[i] == 0 ? 1 : 4;
        }
        return 21_000 + 10 * tokens;
    }
}
