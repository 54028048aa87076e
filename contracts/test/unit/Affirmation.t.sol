// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchChain} from "../../src/chain/BatchChain.sol";
import {BatchHeader, IBatchChain} from "../../src/chain/IBatchChain.sol";
import {Affirmation} from "../../src/dispute/Affirmation.sol";
import {CycleJudge} from "../../src/dispute/CycleJudge.sol";
import {BatchProgress, CycleProgress, IAffirmation} from "../../src/dispute/IAffirmation.sol";
import {CycleClaim, IDispute, PreviousCycle, StateParts} from "../../src/dispute/IDispute.sol";
import {FraudFixture} from "../support/FraudFixture.sol";

/// @notice Everything has to be shown, once, of the very batch that is concluded.
contract AffirmationTest is FraudFixture {
    function setUp() external {
        deployFraud(true);
    }

    function affirmCycle(Posted memory posted, uint256 index) private {
        (CycleClaim memory claim, PreviousCycle memory previous) = claimOf(posted, index);
        affirmation.affirmCycle(posted.header, claim, previous, "");
    }

    function affirmAccount(Posted memory posted, uint256 index, uint256 ordinal) private {
        (CycleClaim memory claim, PreviousCycle memory previous) = claimOf(posted, index);
        affirmation.affirmAccount(posted.header, claim, previous, ordinal, "");
    }

    function hashOf(Posted memory posted) private pure returns (bytes32) {
        return keccak256(abi.encode(posted.header));
    }

    function affirmAll(Posted memory posted, StateParts memory state) private {
        for (uint256 i = 0; i < posted.payloads.length; ++i) {
            affirmCycle(posted, i);
            for (uint256 ordinal = 0; ordinal < i % 4; ++ordinal) {
                affirmAccount(posted, i, ordinal);
            }
        }
        affirmation.affirmHeader(posted.header, state);
    }

    function expectMissing(Posted memory posted, uint32 cyclesRight) private {
        vm.expectRevert(
            abi.encodeWithSelector(IAffirmation.CyclesMissing.selector, cyclesRight, posted.header.cycleCount)
        );
        affirmation.conclude(posted.header);
    }

    function test_aBatchAffirmedIsFinalAfterTheGuard() external {
        (Posted memory posted, StateParts memory state) = rightBatch(9);
        postBuilt(posted);
        affirmAll(posted, state);
        vm.warp(block.timestamp + 60);
        vm.expectEmit(address(chain));
        emit IBatchChain.BatchProven(1, uint64(block.timestamp));
        vm.prank(BOB);
        affirmation.conclude(posted.header);
        vm.warp(block.timestamp + GUARD - 1);
        vm.expectPartialRevert(BatchChain.FloorNotReached.selector);
        chain.finalise(1);
        vm.warp(block.timestamp + 1);
        chain.finalise(1);
        vm.assertEq(chain.finalRoot(1), posted.header.postStateRoot);
        BatchProgress memory progress = affirmation.progressOf(hashOf(posted));
        vm.assertEq(progress.cyclesRight, 9);
    }

    /// @notice Each of the pieces in turn is the one that is missing, in an order that the seed makes.
    function testFuzz_nothingMayBeMissing(uint256 seed) external {
        (Posted memory posted, StateParts memory state) = rightBatch(4);
        postBuilt(posted);
        // (cycle, piece): piece 0 = execution, else account piece − 1; cycle 4 = header. Cycles have 0, 1, 2, 3 accounts.
        uint256[2][11] memory pieces;
        uint256 count = 0;
        for (uint256 cycle = 0; cycle < 4; ++cycle) {
            for (uint256 piece = 0; piece <= cycle; ++piece) {
                pieces[count++] = [cycle, piece];
            }
        }
        pieces[count++] = [uint256(4), 0];
        for (uint256 left = count; left > 0; --left) {
            uint256 chosen = uint256(keccak256(abi.encode(seed, left))) % left;
            vm.expectRevert();
            affirmation.conclude(posted.header);
            (uint256 cycle, uint256 piece) = (pieces[chosen][0], pieces[chosen][1]);
            for (uint256 again = 0; again < 2; ++again) {
                if (again == 1) vm.expectRevert(IAffirmation.AlreadyAffirmed.selector);
                if (cycle == 4) affirmation.affirmHeader(posted.header, state);
                else if (piece == 0) affirmCycle(posted, cycle);
                else affirmAccount(posted, cycle, piece - 1);
            }
            pieces[chosen] = pieces[left - 1];
        }
        affirmation.conclude(posted.header);
        vm.assertEq(chain.batch(1).provenAt, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BatchAlreadyProven.selector, 1));
        affirmation.conclude(posted.header);
    }

    function test_wrongCyclesAreNotAffirmed() external {
        bytes[] memory payloads = new bytes[](4);
        payloads[0] = rightPayload(2, 5);
        // Wrong root; refused by execution; refused at its second account.
        payloads[1] = rightPayload(1, 5);
        payloads[2] = rightPayload(1, 5);
        payloads[2][2] = 0x21;
        payloads[3] = bytes.concat(rightPayload(1, 5), bytes3(uint24(7)), hex"77");
        Posted memory posted = build(payloads, 1);
        postBuilt(posted);
        vm.expectRevert(abi.encodeWithSelector(IAffirmation.NotRight.selector, 0));
        affirmCycle(posted, 1);
        vm.expectRevert(abi.encodeWithSelector(IAffirmation.NotRight.selector, 0x21));
        affirmCycle(posted, 2);
        affirmCycle(posted, 3);
        affirmAccount(posted, 3, 0);
        vm.expectRevert(abi.encodeWithSelector(IAffirmation.NotRight.selector, 0x77));
        affirmAccount(posted, 3, 1);
        vm.expectRevert(abi.encodeWithSelector(IAffirmation.OrdinalOutOfRange.selector, 2, 2));
        affirmAccount(posted, 3, 2);
        affirmCycle(posted, 0);
        affirmAccount(posted, 0, 1);
        affirmAccount(posted, 0, 0);
        expectMissing(posted, 1);
    }

    function test_kindsWithoutAnAnswerAreRefused() external {
        bytes[] memory payloads = new bytes[](4);
        payloads[0] = rightPayload(1, 5);
        payloads[1] = rightPayload(1, 5);
        payloads[1][1] = 0x02;
        payloads[2] = hex"01030000";
        payloads[3] = hex"0109";
        Posted memory posted = build(payloads, 4);
        postBuilt(posted);
        vm.expectRevert(abi.encodeWithSelector(IAffirmation.KindNotAffirmable.selector, 2));
        affirmCycle(posted, 1);
        vm.expectRevert(abi.encodeWithSelector(IAffirmation.KindNotAffirmable.selector, 2));
        affirmAccount(posted, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(CycleJudge.KindWithoutRule.selector, 3));
        affirmCycle(posted, 2);
        vm.expectRevert(abi.encodeWithSelector(IAffirmation.NotRight.selector, 100));
        affirmCycle(posted, 3);
        expectMissing(posted, 0);
    }

    /// @notice The same payload is another cycle on top of another root, in another place and in another batch.
    function test_whatIsAffirmedIsACycleInItsPlace() external {
        bytes[] memory payloads = new bytes[](3);
        for (uint256 i = 0; i < 3; ++i) {
            payloads[i] = rightPayload(0, 0);
        }
        Posted memory posted = build(payloads, 1);
        postBuilt(posted);
        affirmCycle(posted, 0);
        (CycleClaim memory claim, PreviousCycle memory previous) = claimOf(posted, 0);
        claim.index = 1;
        vm.expectRevert(abi.encodeWithSelector(CycleJudge.CycleNotInBatch.selector, 1));
        affirmation.affirmCycle(posted.header, claim, previous, "");
        vm.expectRevert(abi.encodeWithSelector(IAffirmation.NotRight.selector, 0));
        affirmCycle(posted, 1);
        affirmCycle(posted, 2);
        expectMissing(posted, 2);
        // Another batch with the same payloads under the next number starts with nothing.
        Posted memory next = build(payloads, 3);
        postBuilt(next);
        expectMissing(next, 0);
        vm.expectRevert(abi.encodeWithSelector(CycleJudge.HeaderMismatch.selector, 2));
        posted.header.number = 2;
        affirmation.conclude(posted.header);
    }

    function test_headerHasToBeRight() external {
        (Posted memory posted, StateParts memory state) = rightBatch(1);
        (BatchHeader memory other,) = nextBatch(1, 0);
        other.timeMs -= 5;
        bytes32 root;
        (state, root) = stateFor(other);
        posted.payloads[0] = payloadTo(root, 0, 0);
        posted = build(posted.payloads, 1);
        postBuilt(posted);
        affirmCycle(posted, 0);
        vm.expectRevert(abi.encodeWithSelector(IAffirmation.NotRight.selector, 0));
        affirmation.affirmHeader(posted.header, state);
        vm.expectRevert(IAffirmation.HeaderMissing.selector);
        affirmation.conclude(posted.header);
    }

    /// @notice Dropped and posted again: what was shown of the hash holds, another batch of the number has nothing.
    function test_progressBelongsToTheHash() external {
        (Posted memory posted, StateParts memory state) = rightBatch(3);
        postBuilt(posted);
        affirmAll(posted, state);
        vm.prank(address(dispute));
        chain.dropFrom(1, BOB);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchUnknown.selector, 1));
        affirmation.conclude(posted.header);
        bytes[] memory payloads = new bytes[](3);
        for (uint256 i = 0; i < 3; ++i) {
            payloads[i] = rightPayload(0, 0);
        }
        Posted memory other = build(payloads, 2);
        postBuilt(other);
        vm.expectRevert(abi.encodeWithSelector(CycleJudge.HeaderMismatch.selector, 1));
        affirmation.conclude(posted.header);
        expectMissing(other, 0);
        vm.prank(address(dispute));
        chain.dropFrom(1, BOB);
        postBuilt(posted);
        vm.assertEq(chain.batch(1).provenAt, 0);
        affirmation.conclude(posted.header);
        vm.assertEq(chain.batch(1).provenAt, block.timestamp);
    }

    function test_finalBatchesNeedNoProof() external {
        (Posted memory posted, StateParts memory state) = rightBatch(3);
        postBuilt(posted);
        affirmAll(posted, state);
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(1);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BatchAlreadyFinal.selector, 1));
        affirmation.conclude(posted.header);
    }

    function test_readingProgress() external {
        (Posted memory posted,) = rightBatch(4);
        postBuilt(posted);
        affirmAccount(posted, 3, 2);
        affirmCycle(posted, 3);
        CycleProgress memory progress = affirmation.cycleProgressOf(hashOf(posted), 3);
        vm.assertTrue(progress.isExecuted);
        vm.assertEq(progress.accountsRight, 1);
        vm.assertTrue(affirmation.isAccountAffirmed(hashOf(posted), 3, 2));
        vm.assertFalse(affirmation.isAccountAffirmed(hashOf(posted), 3, 1));
    }

    function test_disputeOfAnotherChainIsRefused() external {
        vm.expectRevert(abi.encodeWithSelector(Affirmation.DisputeOfAnotherChain.selector, address(chain)));
        new Affirmation(IBatchChain(address(1)), IDispute(address(dispute)));
    }

    // ── blobs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Cycles of a blob's batch count once the blob is shown to hold them.
    function test_blobHasToBeShown() external {
        string memory json = vm.readFile("vectors/blobs.json");
        string memory place = ".frames.right";
        bytes memory data = vm.parseJsonBytes(json, string.concat(place, ".data"));
        bytes memory commitment = vm.parseJsonBytes(json, string.concat(place, ".commitment"));
        bytes memory proof = vm.parseJsonBytes(json, string.concat(place, ".proof"));
        // A right batch whose header names a blob of other cycles: nothing else is wrong with it.
        (Posted memory posted, StateParts memory state) = rightBatch(3);
        posted.header.dataMode = 1;
        posted.header.dataHash = vm.parseJsonBytes32(json, string.concat(place, ".versionedHash"));
        posted.header.dataLength = uint32(data.length);
        postBlob(posted.header);
        affirmAll(posted, state);
        vm.expectRevert(IAffirmation.BlobMissing.selector);
        affirmation.conclude(posted.header);
        vm.expectRevert(abi.encodeWithSelector(IAffirmation.NotRight.selector, 0));
        affirmation.affirmBlob(posted.header, data, commitment, proof);
        vm.prank(address(dispute));
        chain.dropFrom(1, BOB);
        // A header of the blob's cycles.
        BatchHeader memory header = posted.header;
        header.cycleCount = 3;
        header.cyclesRoot = vm.parseJsonBytes32(json, ".frames.cyclesRoot");
        header.postStateRoot = vm.parseJsonBytes32(json, ".frames.lastPostRoot");
        postBlob(header);
        affirmation.affirmBlob(header, data, commitment, proof);
        vm.expectRevert(IAffirmation.AlreadyAffirmed.selector);
        affirmation.affirmBlob(header, data, commitment, proof);
        vm.assertTrue(affirmation.progressOf(keccak256(abi.encode(header))).isBlobRight);
    }

    function postBlob(BatchHeader memory header) private {
        bytes32[] memory hashes = new bytes32[](1);
        hashes[0] = header.dataHash;
        vm.blobhashes(hashes);
        vm.prank(PROPOSER, PROPOSER);
        chain.postBatchBlob{value: BOND}(header);
    }
}
