// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FixedWindowPolicy} from "../../src/policy/FixedWindowPolicy.sol";
import {SingleProposer} from "../../src/policy/SingleProposer.sol";
import {TestUsdc} from "../../dev/TestUsdc.sol";
import {BatchChain, ChainTerms} from "../../src/chain/BatchChain.sol";
import {Batch} from "../../src/chain/IBatchChain.sol";
import {Custody, CustodyTerms} from "../../src/custody/Custody.sol";
import {CyclesTree} from "../../src/lib/CyclesTree.sol";
import {Fixture} from "../support/Fixture.sol";
import {Vm} from "../support/Vm.sol";

/// @notice The contracts against an implementation that knows only the specification
/// (tools/reference/settlement-vectors.mjs).
contract SettlementVectorsTest is Fixture {
    string private _json;

    function setUp() external {
        _json = vm.readFile("vectors/settlement.json");
    }

    function parse(bytes calldata data, uint256 count) external pure returns (bytes32, bytes32) {
        return CyclesTree.parse(data, count);
    }

    function test_cyclesTrees() external view {
        string memory json = _json;
        uint256 count = vm.parseJsonUint(json, ".counts.trees");
        vm.assertTrue(count > 10);
        for (uint256 i = 0; i < count; ++i) {
            string memory place = string.concat(".trees[", vm.toString(i), "]");
            (bytes32 root, bytes32 lastPostRoot) = this.parse(
                vm.parseJsonBytes(json, string.concat(place, ".data")),
                vm.parseJsonUint(json, string.concat(place, ".count"))
            );
            vm.assertEq(root, vm.parseJsonBytes32(json, string.concat(place, ".root")), place);
            vm.assertEq(lastPostRoot, vm.parseJsonBytes32(json, string.concat(place, ".lastPostRoot")), place);
        }
    }

    /// @notice One story: the queue fills, four batches are posted and become final, every withdrawal is claimed.
    function test_queueBatchesAndClaims() external {
        string memory json = _json;
        vm.assertEq(block.chainid, vm.parseJsonUint(json, ".chainId"));
        vm.warp(vm.parseJsonUint(json, ".startSeconds"));
        deployForVectors(json);
        replayQueue(json);
        postBatches(json);
        claimAll(json);
    }

    function deployForVectors(string memory json) private {
        usdc = new TestUsdc();
        FixedWindowPolicy policy = new FixedWindowPolicy(WINDOW, GUARD);
        SingleProposer proposers = new SingleProposer(PROPOSER);
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        ChainTerms memory terms = termsOf(predicted, vm.parseJsonBytes32(json, ".genesisRoot"), policy, proposers);
        terms.domain = uint32(vm.parseJsonUint(json, ".domain"));
        chain = new BatchChain(terms);
        CustodyTerms memory custodial = custodyTerms(usdc);
        custodial.lister = vm.parseJsonAddress(json, ".lister");
        custodial.governor = vm.parseJsonAddress(json, ".governor");
        custody = new Custody(custodial);
        vm.deal(PROPOSER, 100 ether);
    }

    function replayQueue(string memory json) private {
        uint256 count = vm.parseJsonUint(json, ".counts.queue");
        vm.assertTrue(count > 10);
        for (uint256 i = 0; i < count; ++i) {
            string memory place = string.concat(".queue[", vm.toString(i), "]");
            address caller = vm.parseJsonAddress(json, string.concat(place, ".caller"));
            fund(caller, 2 ** 53);
            vm.recordLogs();
            vm.prank(caller);
            (bool success,) = address(custody).call(vm.parseJsonBytes(json, string.concat(place, ".calldata")));
            vm.assertTrue(success, place);

            checkQueued(json, place);
        }
    }

    function checkQueued(string memory json, string memory place) private {
        uint256 length = vm.parseJsonUint(json, string.concat(place, ".queueLength"));
        bytes32 hash = vm.parseJsonBytes32(json, string.concat(place, ".queueHash"));
        vm.assertEq(custody.queueLength(), length, place);
        vm.assertEq(custody.queueHash(uint64(length)), hash, place);
        (Vm.Log memory log, uint256 entries) = lastQueued(vm.getRecordedLogs());
        vm.assertEq(entries, vm.parseJsonUint(json, string.concat(place, ".entryCount")), place);
        vm.assertEq(uint256(log.topics[1]), length - 1, place);
        (bytes memory entry, bytes32 logged,) = abi.decode(log.data, (bytes, bytes32, uint64));
        vm.assertEq(entry, vm.parseJsonBytes(json, string.concat(place, ".lastEntry")));
        vm.assertEq(logged, hash, place);
    }

    function lastQueued(Vm.Log[] memory logs) private view returns (Vm.Log memory last, uint256 count) {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter != address(custody)) continue;
            if (logs[i].topics[0] != Custody.InboundQueued.selector) continue;
            last = logs[i];
            ++count;
        }
    }

    function postBatches(string memory json) private {
        uint256 count = vm.parseJsonUint(json, ".counts.batches");
        for (uint256 i = 0; i < count; ++i) {
            string memory place = string.concat(".batches[", vm.toString(i), "]");
            bytes memory call = vm.parseJsonBytes(json, string.concat(place, ".calldata"));
            vm.prank(PROPOSER, PROPOSER);
            (bool success,) = address(chain).call{value: BOND}(call);
            vm.assertTrue(success, place);
            Batch memory record = chain.batch(uint64(i + 1));
            vm.assertEq(record.batchHash, vm.parseJsonBytes32(json, string.concat(place, ".batchHash")), place);
            vm.assertEq(record.postStateRoot, vm.parseJsonBytes32(json, string.concat(place, ".postStateRoot")), place);
            vm.assertEq(record.nextCycle, vm.parseJsonUint(json, string.concat(place, ".nextCycle")), place);
        }
        vm.warp(block.timestamp + WINDOW);
        for (uint64 i = 1; i <= count; ++i) {
            chain.finalise(i);
        }
    }

    function claimAll(string memory json) private {
        uint256 count = vm.parseJsonUint(json, ".counts.claims");
        vm.assertTrue(count > 3);
        for (uint256 i = 0; i < count; ++i) {
            string memory place = string.concat(".claims[", vm.toString(i), "]");
            (bool success,) = address(custody).call(vm.parseJsonBytes(json, string.concat(place, ".calldata")));
            vm.assertTrue(success, place);
            address recipient = vm.parseJsonAddress(json, string.concat(place, ".recipient"));
            vm.assertEq(usdc.balanceOf(recipient), vm.parseJsonUint(json, string.concat(place, ".amount")), place);
            vm.assertTrue(
                custody.isClaimed(uint32(vm.parseJsonUint(json, string.concat(place, ".withdrawalNumber")))), place
            );
        }
    }
}
