// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchChain} from "../../src/chain/BatchChain.sol";
import {BatchHeader, IBatchChain} from "../../src/chain/IBatchChain.sol";
import {CyclesPath} from "../../src/dispute/CyclesPath.sol";
import {CycleJudge} from "../../src/dispute/CycleJudge.sol";
import {Dispute} from "../../src/dispute/Dispute.sol";
import {CycleClaim, IDispute, PreviousCycle, StateParts} from "../../src/dispute/IDispute.sol";
import {BlobOpening} from "../../src/lib/BlobOpening.sol";
import {FraudFixture} from "../support/FraudFixture.sol";

/// @notice What follows from a verdict, and what no verdict follows from. Verdicts themselves are scripted; those of the real
/// rules are packages/settlement/test.
contract DisputeTest is FraudFixture {
    address private constant BURN = 0x000000000000000000000000000000000000dEaD;
    address private constant CAROL = address(0xCA401);

    function setUp() external {
        deployFraud(true);
    }

    function badAccount() private pure returns (bytes memory) {
        return bytes.concat(rightPayload(2, 5), bytes3(uint24(9)), hex"77");
    }

    /// @notice Three cycles; the middle one is `payload`, its root forged when asked.
    function postWith(bytes memory payload, bool isForged) private returns (Posted memory posted) {
        bytes[] memory payloads = new bytes[](3);
        payloads[0] = rightPayload(1, 2);
        payloads[1] = payload;
        payloads[2] = rightPayload(0, 0);
        posted = build(payloads, isForged ? 1 : 3);
        postBuilt(posted);
    }

    function challengeRoot(Posted memory posted, uint256 index) private {
        (CycleClaim memory claim, PreviousCycle memory previous) = claimOf(posted, index);
        vm.prank(CAROL);
        dispute.challengeRoot(posted.header, claim, previous, "");
    }

    function challengeAccount(Posted memory posted, uint256 index, uint256 account) private {
        (CycleClaim memory claim, PreviousCycle memory previous) = claimOf(posted, index);
        vm.prank(CAROL);
        dispute.challengeAccount(posted.header, claim, previous, account, "");
    }

    // ── batches that are not final ─────────────────────────────────────────────────────────────────────────────────

    function test_convictionSplitsTheBondAndSlashes() external {
        postWith(rightPayload(0, 0), false);
        bytes[] memory payloads = new bytes[](1);
        payloads[0] = rightPayload(0, 0);
        Posted memory posted = build(payloads, 0);
        vm.prank(PROPOSER, PROPOSER);
        chain.postBatch{value: BOND + 1}(posted.header, dataOf(posted));
        postWith(rightPayload(0, 1), false);

        vm.expectEmit(address(dispute));
        emit IDispute.FraudProven(2, 0, 0, CAROL, BOND / 2, BOND / 2 + 1);
        challengeRoot(posted, 0);
        vm.assertEq(chain.lastNumber(), 1);
        vm.assertEq(CAROL.balance, BOND / 2);
        vm.assertEq(BURN.balance, BOND / 2 + 1);
        vm.assertEq(address(dispute).balance, 0);
        vm.assertEq(registry.count(), 1);
        (address proposer, uint64 number, address challenger) = registry.slashes(0);
        vm.assertEq(proposer, PROPOSER);
        vm.assertEq(number, 2);
        vm.assertEq(challenger, CAROL);
        vm.assertEq(escapeContract.count(), 0);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchUnknown.selector, 2));
        challengeRoot(posted, 0);
    }

    function test_everyVerdictConvicts() external {
        Posted memory posted = postWith(rightPayload(1, 5), true);
        challengeRoot(posted, 1);
        bytes memory refused = rightPayload(1, 5);
        refused[2] = 0x0c;
        posted = postWith(refused, false);
        vm.expectEmit(address(dispute));
        emit IDispute.FraudProven(1, 1, 12, CAROL, BOND / 2, BOND / 2);
        challengeRoot(posted, 1);
        posted = postWith(badAccount(), false);
        vm.expectEmit(address(dispute));
        emit IDispute.FraudProven(1, 1, 0x77, CAROL, BOND / 2, BOND / 2);
        challengeAccount(posted, 1, 9);
        vm.assertEq(registry.count(), 3);
    }

    /// @notice Version, kind or length tell: no rule is asked, no witness needed.
    function test_malformedPayloads() external {
        bytes[5] memory payloads = [bytes(hex"01"), hex"0201", hex"0000", hex"0100", hex"0104"];
        for (uint256 i = 0; i < payloads.length; ++i) {
            Posted memory posted = postWith(payloads[i], false);
            if (i % 2 == 0) challengeRoot(posted, 1);
            else challengeAccount(posted, 1, 0);
            vm.assertEq(chain.lastNumber(), 0);
        }
        // Kind 3 is the ledger's, but nothing here judges it.
        Posted memory unjudged = postWith(hex"0103", false);
        vm.expectRevert(abi.encodeWithSelector(CycleJudge.KindWithoutRule.selector, 3));
        challengeRoot(unjudged, 1);
    }

    function test_rightBatchesStand() external {
        (Posted memory posted, StateParts memory state) = rightBatch(7);
        postBuilt(posted);
        for (uint256 i = 0; i < 7; ++i) {
            vm.expectRevert(IDispute.NoFraud.selector);
            challengeRoot(posted, i);
            vm.expectRevert(IDispute.NoFraud.selector);
            challengeAccount(posted, i, 10 * i);
        }
        vm.expectRevert(IDispute.NoFraud.selector);
        dispute.challengeHeader(posted.header, state);
        vm.expectRevert(abi.encodeWithSelector(CycleJudge.BatchNotInBlob.selector, 1));
        dispute.challengeBlob(posted.header, "", "", "");
        vm.expectRevert(abi.encodeWithSelector(CycleJudge.BatchNotInBlob.selector, 1));
        dispute.challengeBlobElement(posted.header, 0, 0, "", "");
        vm.assertEq(chain.lastNumber(), 1);
        vm.assertEq(registry.count(), 0);
    }

    function test_claimsOfOtherCyclesRevert() external {
        Posted memory posted = postWith(rightPayload(1, 5), true);
        (CycleClaim memory claim, PreviousCycle memory previous) = claimOf(posted, 1);
        // A right cycle claimed in another place, on top of another root, with other bytes, with another root after it.
        claim.index = 0;
        expectNotInBatch(posted.header, claim, previous, 0);
        for (uint32 index = 2; index < 4; ++index) {
            claim.index = index;
            vm.expectRevert(CyclesPath.PathMalformed.selector);
            dispute.challengeRoot(posted.header, claim, previous, "");
        }
        claim.index = 1;
        previous.postRoot = keccak256("other");
        expectNotInBatch(posted.header, claim, previous, 0);
        (claim, previous) = claimOf(posted, 1);
        (, PreviousCycle memory later) = claimOf(posted, 2);
        expectNotInBatch(posted.header, claim, later, 0);
        claim.payload[3] = 0x01;
        expectNotInBatch(posted.header, claim, previous, 1);
        (claim, previous) = claimOf(posted, 1);
        claim.postRoot = keccak256("other");
        expectNotInBatch(posted.header, claim, previous, 1);
        (claim, previous) = claimOf(posted, 1);
        posted.header.timeMs -= 1;
        vm.expectRevert(abi.encodeWithSelector(CycleJudge.HeaderMismatch.selector, 1));
        dispute.challengeRoot(posted.header, claim, previous, "");
    }

    function expectNotInBatch(
        BatchHeader memory header,
        CycleClaim memory claim,
        PreviousCycle memory previous,
        uint32 index
    ) private {
        vm.expectRevert(abi.encodeWithSelector(CycleJudge.CycleNotInBatch.selector, index));
        dispute.challengeRoot(header, claim, previous, "");
    }

    // ── headers ────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_headerFaults() external {
        openAccount(ALICE);
        for (uint256 field = 0; field < 3; ++field) {
            (Posted memory posted, StateParts memory state) = rightBatch(2);
            BatchHeader memory other;
            (other,) = nextBatch(1, 0);
            if (field == 0) other.timeMs -= 1;
            if (field == 1) other.inboundCursor -= 1;
            if (field == 2) other.inboundHash = 0;
            bytes32 root;
            (state, root) = stateFor(other);
            posted.payloads[1] = payloadTo(root, 0, 0);
            posted = build(posted.payloads, 2);
            postBuilt(posted);
            state.outboxRoot = keccak256("other");
            vm.expectRevert(abi.encodeWithSelector(CycleJudge.StatePartsMismatch.selector, root));
            dispute.challengeHeader(posted.header, state);
            (state,) = stateFor(other);
            vm.prank(CAROL);
            dispute.challengeHeader(posted.header, state);
            vm.assertEq(chain.lastNumber(), 0);
        }
    }

    // ── final and proven batches ───────────────────────────────────────────────────────────────────────────────────

    function test_lateChallengeFreezesOnce() external {
        Posted memory first = postWith(badAccount(), false);
        Posted memory second = postWith(rightPayload(1, 5), true);
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(1);
        chain.finalise(2);
        postWith(rightPayload(0, 0), false);
        vm.warp(block.timestamp + 3650 days);
        vm.expectEmit(address(dispute));
        emit IDispute.LateFraudProven(2, 1, 0, CAROL);
        challengeRoot(second, 1);
        vm.assertEq(escapeContract.lateFrauds(0), 2);
        vm.assertEq(registry.count(), 1);
        vm.expectRevert(abi.encodeWithSelector(IDispute.AlreadyConvicted.selector, 2));
        challengeRoot(second, 1);
        // An earlier one is another fraud.
        challengeAccount(first, 1, 9);
        vm.assertEq(escapeContract.lateFrauds(1), 1);
        vm.assertEq(registry.count(), 2);
        // No bond is left to pay from, and what is final stays.
        vm.assertEq(CAROL.balance + BURN.balance, 0);
        vm.assertEq(chain.lastNumber(), 3);
        vm.assertEq(chain.lastFinal(), 2);
    }

    function test_lateChallengeOfARightBatchReverts() external {
        Posted memory posted = postWith(rightPayload(1, 5), false);
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(1);
        vm.expectRevert(IDispute.NoFraud.selector);
        challengeRoot(posted, 1);
        vm.assertEq(escapeContract.count(), 0);
    }

    function test_withoutEscapeFinalIsFinal() external {
        deployFraud(false);
        Posted memory posted = postWith(rightPayload(1, 5), true);
        vm.prank(address(affirmation));
        chain.markProven(1);
        vm.warp(block.timestamp + GUARD);
        chain.finalise(1);
        vm.expectRevert(abi.encodeWithSelector(IDispute.BatchFinalWithoutEscape.selector, 1));
        challengeRoot(posted, 1);
    }

    function test_fraudInAProvenBatchDropsAndFreezes() external {
        Posted memory posted = postWith(rightPayload(1, 5), true);
        vm.prank(address(affirmation));
        chain.markProven(1);
        challengeRoot(posted, 1);
        vm.assertEq(chain.lastNumber(), 0);
        vm.assertEq(CAROL.balance, BOND / 2);
        vm.assertEq(escapeContract.lateFrauds(0), 1);
        vm.assertEq(registry.count(), 1);
        // The number is used again by a batch that nobody proved.
        posted = postWith(rightPayload(1, 5), true);
        challengeRoot(posted, 1);
        vm.assertEq(escapeContract.count(), 1);
    }

    // ── blobs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    struct Blob {
        bytes data;
        bytes32 versionedHash;
        bytes commitment;
        bytes proof;
    }

    function blobAt(string memory place) private view returns (Blob memory blob, BatchHeader memory header) {
        string memory json = vm.readFile("vectors/blobs.json");
        blob.data = vm.parseJsonBytes(json, string.concat(place, ".data"));
        blob.versionedHash = vm.parseJsonBytes32(json, string.concat(place, ".versionedHash"));
        blob.commitment = vm.parseJsonBytes(json, string.concat(place, ".commitment"));
        blob.proof = vm.parseJsonBytes(json, string.concat(place, ".proof"));
        (header,) = nextBatch(1, vm.parseJsonBytes32(json, ".frames.lastPostRoot"));
        header.cycleCount = 3;
        header.cyclesRoot = vm.parseJsonBytes32(json, ".frames.cyclesRoot");
        header.dataMode = 1;
        header.dataHash = blob.versionedHash;
        header.dataLength = uint32(blob.data.length);
    }

    function postBlob(BatchHeader memory header) private {
        bytes32[] memory hashes = new bytes32[](1);
        hashes[0] = header.dataHash;
        vm.blobhashes(hashes);
        vm.prank(PROPOSER, PROPOSER);
        chain.postBatchBlob{value: BOND}(header);
    }

    function challengeBlob(BatchHeader memory header, Blob memory blob) private {
        vm.prank(CAROL);
        dispute.challengeBlob(header, blob.data, blob.commitment, blob.proof);
    }

    function test_rightBlobStands() external {
        (Blob memory blob, BatchHeader memory header) = blobAt(".frames.right");
        postBlob(header);
        vm.expectRevert(IDispute.NoFraud.selector);
        challengeBlob(header, blob);
        bytes memory right = blob.data;
        blob.data = bytes.concat(right);
        blob.data[40] ^= 0x01;
        vm.expectRevert(BlobOpening.OpeningRefused.selector);
        challengeBlob(header, blob);
        blob.data = bytes.concat(right, hex"00");
        vm.expectRevert(
            abi.encodeWithSelector(CycleJudge.BlobDataLengthMismatch.selector, right.length + 1, right.length)
        );
        challengeBlob(header, blob);
    }

    function test_blobsThatAreNotWhatTheHeaderSays() external {
        for (uint256 fault = 0; fault < 7; ++fault) {
            string memory place = fault < 5 ? ".frames.right" : fault == 5 ? ".frames.truncated" : ".frames.trailing";
            (Blob memory blob, BatchHeader memory header) = blobAt(place);
            if (fault == 0) header.cyclesRoot = keccak256("other");
            if (fault == 1) header.postStateRoot = keccak256("other");
            if (fault == 2) header.cycleCount = 2;
            if (fault == 3) header.cycleCount = 4;
            if (fault == 4) header.cycleCount = 256;
            postBlob(header);
            challengeBlob(header, blob);
            vm.assertEq(chain.lastNumber(), 0);
        }
        vm.assertEq(registry.count(), 7);
    }

    function test_elementsThatNoDataHave() external {
        string memory json = vm.readFile("vectors/blobs.json");
        uint256 convicted = 0;
        for (uint256 i = 0; i < vm.parseJsonUint(json, ".counts.elements"); ++i) {
            string memory place = string.concat(".elements[", vm.toString(i), "]");
            (BatchHeader memory header,) = nextBatch(1, keccak256("one"));
            header.dataMode = 1;
            header.dataHash = vm.parseJsonBytes32(json, string.concat(place, ".versionedHash"));
            header.dataLength = uint32(vm.parseJsonUint(json, ".elementDataLength"));
            postBlob(header);
            uint256 index = vm.parseJsonUint(json, string.concat(place, ".index"));
            uint256 value = uint256(vm.parseJsonBytes32(json, string.concat(place, ".value")));
            bool isForeign = BlobOpening.isForeign(index, value, header.dataLength);
            bytes memory commitment = vm.parseJsonBytes(json, string.concat(place, ".commitment"));
            bytes memory proof = vm.parseJsonBytes(json, string.concat(place, ".proof"));
            if (!isForeign) vm.expectRevert(IDispute.NoFraud.selector);
            vm.prank(CAROL);
            dispute.challengeBlobElement(header, index, value, commitment, proof);
            if (isForeign) {
                ++convicted;
            } else {
                vm.prank(address(dispute));
                chain.dropFrom(1, BOB);
            }
        }
        vm.assertEq(convicted, 6);
    }

    // ── parameters ─────────────────────────────────────────────────────────────────────────────────────────────────

    function test_storesAreNamedByTheirBytes() external {
        bytes memory encoding = "genesis parameters";
        vm.assertEq(dispute.storeOf(keccak256(encoding)), dispute.parameters());
        vm.assertEq(dispute.storeOf(keccak256("later parameters")), address(0));
        address store = vm.computeCreateAddress(address(dispute), vm.getNonce(address(dispute)));
        vm.expectEmit(address(dispute));
        emit IDispute.ParametersRegistered(keccak256("later parameters"), store);
        vm.prank(CAROL);
        vm.assertEq(dispute.registerParameters("later parameters"), store);
        vm.assertEq(dispute.storeOf(keccak256("later parameters")), store);
        vm.assertEq(store.code, bytes.concat(hex"00", "later parameters"));
        vm.prank(BOB);
        vm.assertEq(dispute.registerParameters("later parameters"), store);
        vm.assertEq(dispute.registerParameters(encoding), dispute.parameters());
    }

    function test_reentrantChallengerIsRefused() external {
        Posted memory posted = postWith(rightPayload(1, 5), true);
        Posted memory descendant = postWith(rightPayload(1, 5), true);
        ReentrantChallenger challenger = new ReentrantChallenger(dispute);
        (CycleClaim memory claim, PreviousCycle memory previous) = claimOf(posted, 1);
        challenger.challenge(abi.encodeCall(Dispute.challengeRoot, (descendant.header, claim, previous, "")));
        vm.assertEq(challenger.attempts(), 0);
        challenger.challenge(abi.encodeCall(Dispute.challengeRoot, (posted.header, claim, previous, "")));
        vm.assertEq(challenger.attempts(), 1);
        vm.assertFalse(challenger.hasReentered());
        vm.assertEq(address(challenger).balance, BOND / 2);
        vm.assertEq(address(dispute).balance, 0);
    }
}

/// @notice Challenges again while it is paid.
contract ReentrantChallenger {
    Dispute private immutable _dispute;
    bytes private _call;
    bool public hasReentered;
    uint256 public attempts;

    constructor(Dispute dispute) {
        _dispute = dispute;
    }

    function challenge(bytes calldata call) external {
        _call = call;
        (bool success,) = address(_dispute).call(call);
        success;
    }

    receive() external payable {
        attempts += 1;
        (hasReentered,) = address(_dispute).call(_call);
    }
}
