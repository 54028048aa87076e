// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";
import {BatchChain, ChainTerms} from "../../src/chain/BatchChain.sol";
import {Batch, BatchHeader, IBatchChain} from "../../src/chain/IBatchChain.sol";
import {CyclesTree} from "../../src/lib/CyclesTree.sol";
import {BatchTiming, IFinalityPolicy} from "../../src/policy/IFinalityPolicy.sol";
import {FixedWindowPolicy} from "../../src/policy/FixedWindowPolicy.sol";
import {SingleProposer} from "../../src/policy/SingleProposer.sol";
import {Fixture} from "../support/Fixture.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

/// @notice Answers whatever it was told to.
contract SettablePolicy is IFinalityPolicy {
    uint64 public floor;
    uint64 public finalisable;
    BatchTiming public asked;

    function set(uint64 floor_, uint64 finalisable_) external {
        (floor, finalisable) = (floor_, finalisable_);
    }

    function floorOf(BatchTiming calldata timing) external returns (uint64) {
        asked = timing;
        return floor;
    }

    function finalisableAt(BatchTiming calldata) external view returns (uint64) {
        return finalisable;
    }

    function windowSecondsMax() external pure returns (uint64) {
        return 1 days;
    }
}

/// @notice A bondholder that tries to be paid twice, or refuses to be paid.
contract HostileBondholder {
    BatchChain private immutable _chain;
    bool private immutable _reenters;
    bool public paidTwice;
    bytes public answer;

    constructor(BatchChain chain, bool reenters) {
        (_chain, _reenters) = (chain, reenters);
    }

    function withdraw() external {
        _chain.withdrawBond();
    }

    receive() external payable {
        if (!_reenters) revert();
        (paidTwice, answer) = address(_chain).call(abi.encodeCall(BatchChain.withdrawBond, ()));
    }
}

contract BatchChainTest is Fixture {
    function setUp() external {
        deploy();
    }

    function expectPostRevert(BatchHeader memory header, bytes memory data, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(PROPOSER, PROPOSER);
        chain.postBatch{value: BOND}(header, data);
    }

    function valid() private view returns (BatchHeader memory header, bytes memory data) {
        return nextBatch(3, keccak256("one"));
    }

    // ── deployment ─────────────────────────────────────────────────────────────────────────────────────────────────

    function test_deployment() external view {
        vm.assertEq(chain.custody(), address(custody));
        vm.assertEq(uint256(chain.domain()), DOMAIN);
        vm.assertEq(chain.bondWei(), BOND);
        vm.assertEq(chain.dispute(), DISPUTE);
        vm.assertEq(chain.lastNumber(), 0);
        vm.assertEq(chain.lastFinal(), 0);
        vm.assertEq(chain.finalRoot(0), GENESIS_ROOT);
        vm.assertEq(chain.batch(0).batchHash, keccak256(abi.encode(GENESIS_ROOT)));
        vm.assertEq(chain.batch(0).nextCycle, 0);
        vm.assertLt(address(chain).code.length, 24_576, "chain code size");
        vm.assertLt(address(custody).code.length, 24_576, "custody code size");
    }

    function test_constructorRefuses() external {
        FixedWindowPolicy finality = new FixedWindowPolicy(WINDOW, GUARD);
        SingleProposer proposers = new SingleProposer(PROPOSER);
        ChainTerms memory terms = termsOf(address(0), GENESIS_ROOT, finality, proposers);
        vm.expectRevert(BatchChain.CustodyZero.selector);
        new BatchChain(terms);
        terms.custody = address(1);
        terms.genesisRoot = 0;
        vm.expectRevert(BatchChain.GenesisRootZero.selector);
        new BatchChain(terms);
        terms.genesisRoot = GENESIS_ROOT;
        terms.bondWei = 0;
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BondWeiOutOfRange.selector, 0));
        new BatchChain(terms);
        terms.bondWei = 2 ** 96;
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BondWeiOutOfRange.selector, 2 ** 96));
        new BatchChain(terms);
        terms.bondWei = BOND;
        terms.finalityPolicy = FixedWindowPolicy(ALICE);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.PolicyWithoutCode.selector, ALICE));
        new BatchChain(terms);
        terms.finalityPolicy = finality;
        terms.proposerPolicy = SingleProposer(BOB);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.PolicyWithoutCode.selector, BOB));
        new BatchChain(terms);
        vm.expectRevert(SingleProposer.ProposerZero.selector);
        new SingleProposer(address(0));
    }

    // ── posting ────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_postStoresAndAnnounces() external {
        openAccount(ALICE);
        vm.roll(77);
        (BatchHeader memory header, bytes memory data) = valid();
        uint64 floor = uint64(block.timestamp) + WINDOW;
        bytes32 batchHash = keccak256(abi.encode(header));
        vm.expectEmit(address(chain));
        emit IBatchChain.BatchPosted(1, batchHash, header.postStateRoot, floor, PROPOSER);
        vm.prank(PROPOSER, PROPOSER);
        chain.postBatch{value: BOND + 5}(header, data);

        Batch memory record = chain.batch(1);
        vm.assertEq(record.batchHash, batchHash);
        vm.assertEq(record.postStateRoot, header.postStateRoot);
        vm.assertEq(record.nextCycle, 3);
        vm.assertEq(record.timeMs, header.timeMs);
        vm.assertEq(record.inboundCursor, 1);
        vm.assertEq(record.floor, floor);
        vm.assertEq(record.proposer, PROPOSER);
        vm.assertEq(record.bond, BOND + 5);
        vm.assertEq(record.postedAt, block.timestamp);
        vm.assertEq(record.postedBlock, 77);
        vm.assertEq(chain.lastNumber(), 1);
        vm.assertEq(chain.lastFinal(), 0);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchNotFinal.selector, 1));
        chain.finalRoot(1);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchUnknown.selector, 2));
        chain.batch(2);
    }

    function test_postChains() external {
        postNext(keccak256("one"));
        (BatchHeader memory header, bytes memory data) = nextBatch(2, keccak256("two"));
        vm.assertEq(header.firstCycle, 3);
        post(header, data);
        vm.assertEq(chain.batch(2).nextCycle, 5);
    }

    function test_postRefusesProposer() external {
        (BatchHeader memory header, bytes memory data) = valid();
        vm.deal(ALICE, BOND);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.ProposerNotAllowed.selector, ALICE));
        vm.prank(ALICE, ALICE);
        chain.postBatch{value: BOND}(header, data);
    }

    function test_postRefusesBond() external {
        (BatchHeader memory header, bytes memory data) = valid();
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BondOutOfRange.selector, BOND - 1));
        vm.prank(PROPOSER, PROPOSER);
        chain.postBatch{value: BOND - 1}(header, data);
        vm.deal(PROPOSER, 2 ** 96);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BondOutOfRange.selector, 2 ** 96));
        vm.prank(PROPOSER, PROPOSER);
        chain.postBatch{value: 2 ** 96}(header, data);
    }

    function test_postRefusesVersionDomainAndDataMode() external {
        (BatchHeader memory header, bytes memory data) = valid();
        header.version = 2;
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.VersionUnknown.selector, 2));
        header.version = 1;
        header.domain = DOMAIN + 1;
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.DomainMismatch.selector, DOMAIN + 1));
        header.domain = DOMAIN;
        header.dataMode = 1;
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.DataModeUnknown.selector, 1));
        header.dataMode = 0;
        header.dataHash = bytes32(uint256(1));
        expectPostRevert(
            header, data, abi.encodeWithSelector(BatchChain.DataHashMismatch.selector, header.dataHash, bytes32(0))
        );
        header.dataHash = 0;
        header.dataLength += 1;
        expectPostRevert(
            header,
            data,
            abi.encodeWithSelector(BatchChain.DataLengthMismatch.selector, header.dataLength, header.dataLength - 1)
        );
    }

    function test_postRefusesNumber() external {
        (BatchHeader memory header, bytes memory data) = valid();
        header.number = 2;
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.NumberNotNext.selector, 2, 1));
        header.number = 0;
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.NumberNotNext.selector, 0, 1));
        header.number = 1;
        post(header, data);
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.NumberNotNext.selector, 1, 2));
    }

    function test_postRefusesLinks() external {
        postNext(keccak256("zero"));
        (BatchHeader memory header, bytes memory data) = valid();
        bytes32 right = header.parent;
        header.parent = keccak256("other");
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.ParentMismatch.selector, header.parent, right));
        header.parent = right;
        right = header.preStateRoot;
        header.preStateRoot = GENESIS_ROOT;
        expectPostRevert(
            header, data, abi.encodeWithSelector(BatchChain.PreStateRootMismatch.selector, GENESIS_ROOT, right)
        );
        header.preStateRoot = right;
        header.firstCycle = 2;
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.FirstCycleMismatch.selector, 2, 3));
        header.firstCycle = 4;
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.FirstCycleMismatch.selector, 4, 3));
    }

    function test_postRefusesTime() external {
        uint64 last = uint64(block.timestamp) * 1000;
        postNext(keccak256("zero"));
        (BatchHeader memory header, bytes memory data) = valid();
        header.timeMs = last - 1;
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.TimeBeforeParent.selector, last - 1, last));
        header.timeMs = last + 1000;
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.TimeAhead.selector, last + 1000));
        header.timeMs = last + 999;
        post(header, data);
        (header, data) = valid();
        header.timeMs = last + 999;
        post(header, data);
    }

    function test_postRefusesInbound() external {
        openAccount(ALICE);
        openAccount(BOB);
        postNext(keccak256("zero"));
        (BatchHeader memory header, bytes memory data) = valid();
        header.inboundCursor = 1;
        header.inboundHash = custody.queueHash(1);
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.InboundCursorBehindParent.selector, 1, 2));
        // Beyond the end the stored hash is zero: a header that names zero must not pass.
        header.inboundCursor = 3;
        header.inboundHash = 0;
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.InboundCursorBeyondQueue.selector, 3, 2));
        header.inboundCursor = 2;
        header.inboundHash = custody.queueHash(1);
        expectPostRevert(
            header,
            data,
            abi.encodeWithSelector(BatchChain.InboundHashMismatch.selector, custody.queueHash(1), custody.queueHash(2))
        );
    }

    function test_postMayLeaveEntriesUnconsumed() external {
        openAccount(ALICE);
        openAccount(BOB);
        (BatchHeader memory header, bytes memory data) = valid();
        header.inboundCursor = 1;
        header.inboundHash = custody.queueHash(1);
        post(header, data);
        vm.assertEq(chain.batch(1).inboundCursor, 1);
    }

    function test_postRefusesCycleCount() external {
        (BatchHeader memory header,) = valid();
        header.cycleCount = 0;
        expectPostRevert(header, "", abi.encodeWithSelector(BatchChain.CycleCountOutOfRange.selector, 0));
        bytes memory data;
        (data, header.cyclesRoot) = cycles(257, 1, header.postStateRoot);
        header.cycleCount = 257;
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.CycleCountOutOfRange.selector, 257));
        (data, header.cyclesRoot) = cycles(256, 1, header.postStateRoot);
        header.cycleCount = 256;
        header.dataLength = uint32(data.length);
        post(header, data);
    }

    function test_postRefusesLongData() external {
        (BatchHeader memory header,) = valid();
        header.cycleCount = 1;
        bytes memory data;
        (data, header.cyclesRoot) = cycles(1, 122_880 - 36 + 1, header.postStateRoot);
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.DataTooLong.selector, 122_881));
        header.cycleCount = 2;
        (data, header.cyclesRoot) = cycles(2, 122_880 / 2 - 36, header.postStateRoot);
        header.dataLength = uint32(data.length);
        post(header, data);
    }

    function test_postRefusesLongCycles() external {
        (BatchHeader memory header,) = valid();
        header.cycleCount = 1;
        bytes memory data;
        (data, header.cyclesRoot) = cycles(1, 65_536 + 1, header.postStateRoot);
        expectDataRevert(header, data, abi.encodeWithSelector(CyclesTree.CycleTooLong.selector, 0));
        header.cycleCount = 2;
        (bytes memory first,) = cycles(1, 1, header.postStateRoot);
        expectDataRevert(header, bytes.concat(first, data), abi.encodeWithSelector(CyclesTree.CycleTooLong.selector, 1));
        header.cycleCount = 1;
        (data, header.cyclesRoot) = cycles(1, 65_536, header.postStateRoot);
        header.dataLength = uint32(data.length);
        post(header, data);
    }

    function expectDataRevert(BatchHeader memory header, bytes memory data, bytes memory reason) private {
        header.dataLength = uint32(data.length);
        expectPostRevert(header, data, reason);
    }

    function test_postRefusesMalformedData() external {
        (BatchHeader memory header, bytes memory data) = valid();
        expectDataRevert(
            header, bytes.concat(data, hex"00"), abi.encodeWithSelector(CyclesTree.DataTrailingBytes.selector)
        );
        header.cycleCount = 2;
        expectDataRevert(header, data, abi.encodeWithSelector(CyclesTree.DataTrailingBytes.selector));
        header.cycleCount = 4;
        expectDataRevert(header, data, abi.encodeWithSelector(CyclesTree.DataTruncated.selector));
        header.cycleCount = 1;
        expectDataRevert(header, "", abi.encodeWithSelector(CyclesTree.DataTruncated.selector));
        expectDataRevert(header, new bytes(35), abi.encodeWithSelector(CyclesTree.DataTruncated.selector));
        expectDataRevert(header, new bytes(36), abi.encodeWithSelector(CyclesTree.CycleEmpty.selector, 0));
        bytes memory claimsMore = bytes.concat(hex"ffffffff", header.postStateRoot, hex"01");
        expectDataRevert(header, claimsMore, abi.encodeWithSelector(CyclesTree.DataTruncated.selector));
    }

    function test_postRefusesRoots() external {
        (BatchHeader memory header, bytes memory data) = valid();
        bytes32 right = header.cyclesRoot;
        header.cyclesRoot = keccak256("other");
        expectPostRevert(
            header, data, abi.encodeWithSelector(BatchChain.CyclesRootMismatch.selector, header.cyclesRoot, right)
        );
        header.cyclesRoot = right;
        right = header.postStateRoot;
        header.postStateRoot = keccak256("other");
        expectPostRevert(
            header, data, abi.encodeWithSelector(BatchChain.PostStateRootMismatch.selector, header.postStateRoot, right)
        );
    }

    function test_postRefusesAnythingButATransactionOfAPlainAccount() external {
        (BatchHeader memory header, bytes memory data) = valid();
        bytes memory reason = abi.encodeWithSelector(BatchChain.CallIsNotTheTransaction.selector, PROPOSER);
        vm.expectRevert(reason);
        vm.prank(PROPOSER, ALICE);
        chain.postBatch{value: BOND}(header, data);
        // A delegated account (EIP-7702) has code.
        vm.etch(PROPOSER, bytes.concat(hex"ef0100", bytes20(address(this))));
        expectPostRevert(header, data, reason);
        vm.etch(PROPOSER, "");
        post(header, data);
    }

    function test_postStopsWhenTheVenueIsFrozen() external {
        postNext(keccak256("zero"));
        (BatchHeader memory header, bytes memory data) = valid();
        vm.prank(ESCAPE);
        custody.freeze();
        expectPostRevert(header, data, abi.encodeWithSelector(BatchChain.VenueFrozen.selector));
        (header, data) = blobBatch();
        expectBlobRevert(header, abi.encodeWithSelector(BatchChain.VenueFrozen.selector));
        // What is posted still resolves.
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(1);
    }

    // ── blobs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    bytes32 private constant BLOB_HASH = 0x0100000000000000000000000000000000000000000000000000000000000042;

    function blobBatch() private returns (BatchHeader memory header, bytes memory data) {
        (header, data) = valid();
        header.dataMode = 1;
        header.dataHash = BLOB_HASH;
        setBlobs(1);
    }

    function setBlobs(uint256 count) private {
        bytes32[] memory hashes = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            hashes[i] = bytes32(uint256(BLOB_HASH) + i);
        }
        vm.blobhashes(hashes);
    }

    function expectBlobRevert(BatchHeader memory header, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(PROPOSER, PROPOSER);
        chain.postBatchBlob{value: BOND}(header);
    }

    function test_postBlobStoresTheHeader() external {
        (BatchHeader memory header,) = blobBatch();
        vm.expectEmit(address(chain));
        emit IBatchChain.BatchPosted(
            1, keccak256(abi.encode(header)), header.postStateRoot, uint64(block.timestamp) + WINDOW, PROPOSER
        );
        vm.prank(PROPOSER, PROPOSER);
        chain.postBatchBlob{value: BOND}(header);
        vm.assertEq(chain.batch(1).batchHash, keccak256(abi.encode(header)));
        vm.assertEq(chain.batch(1).nextCycle, 3);
        vm.assertEq(chain.batch(1).bond, BOND);
    }

    function test_postBlobRefuses() external {
        (BatchHeader memory header,) = blobBatch();
        setBlobs(0);
        expectBlobRevert(header, abi.encodeWithSelector(BatchChain.BlobCountNotOne.selector));
        setBlobs(2);
        expectBlobRevert(header, abi.encodeWithSelector(BatchChain.BlobCountNotOne.selector));
        setBlobs(1);
        header.dataHash = bytes32(uint256(BLOB_HASH) + 1);
        expectBlobRevert(
            header, abi.encodeWithSelector(BatchChain.DataHashMismatch.selector, header.dataHash, BLOB_HASH)
        );
        header.dataHash = BLOB_HASH;
        header.dataMode = 0;
        expectBlobRevert(header, abi.encodeWithSelector(BatchChain.DataModeUnknown.selector, 0));
        header.dataMode = 1;
        header.cycleCount = 0;
        expectBlobRevert(header, abi.encodeWithSelector(BatchChain.CycleCountOutOfRange.selector, 0));
        header.cycleCount = 257;
        expectBlobRevert(header, abi.encodeWithSelector(BatchChain.CycleCountOutOfRange.selector, 257));
        header.cycleCount = 3;
        header.dataLength = 112_641;
        expectBlobRevert(header, abi.encodeWithSelector(BatchChain.DataTooLong.selector, 112_641));
        header.dataLength = 112_640;
        header.parent = 0;
        expectBlobRevert(
            header,
            abi.encodeWithSelector(BatchChain.ParentMismatch.selector, bytes32(0), keccak256(abi.encode(GENESIS_ROOT)))
        );
        header.parent = keccak256(abi.encode(GENESIS_ROOT));
        vm.prank(PROPOSER, PROPOSER);
        chain.postBatchBlob{value: BOND}(header);
    }

    // ── proofs ─────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_provenBatchIsFinalAfterTheGuard() external {
        postNext(keccak256("one"));
        postNext(keccak256("two"));
        uint64 start = uint64(block.timestamp);
        vm.warp(start + 7);
        vm.expectEmit(address(chain));
        emit IBatchChain.BatchProven(2, start + 7);
        vm.prank(AFFIRMATION);
        chain.markProven(2);
        vm.assertEq(chain.batch(2).provenAt, start + 7);
        vm.warp(start + 10);
        vm.prank(AFFIRMATION);
        chain.markProven(1);
        vm.warp(start + 10 + GUARD - 1);
        // Proven earlier, but its parent is not final.
        vm.expectRevert(abi.encodeWithSelector(BatchChain.ParentNotFinal.selector, 2));
        chain.finalise(2);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.FloorNotReached.selector, 1, start + 10 + GUARD));
        chain.finalise(1);
        vm.warp(start + 10 + GUARD);
        chain.finalise(1);
        chain.finalise(2);
    }

    function test_markProvenRefuses() external {
        postAndFinalise(keccak256("one"));
        postNext(keccak256("two"));
        vm.expectRevert(abi.encodeWithSelector(BatchChain.CallerNotAffirmation.selector, PROPOSER));
        vm.prank(PROPOSER);
        chain.markProven(2);
        vm.startPrank(AFFIRMATION);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BatchAlreadyFinal.selector, 1));
        chain.markProven(1);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchUnknown.selector, 3));
        chain.markProven(3);
        chain.markProven(2);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BatchAlreadyProven.selector, 2));
        chain.markProven(2);
    }

    /// @notice The number is used again: another batch has to be proven anew.
    function test_dropForgetsTheProof() external {
        postNext(keccak256("one"));
        vm.prank(AFFIRMATION);
        chain.markProven(1);
        vm.prank(DISPUTE);
        chain.dropFrom(1, BOB);
        postNext(keccak256("other one"));
        vm.assertEq(chain.batch(1).provenAt, 0);
        vm.warp(block.timestamp + GUARD);
        vm.expectPartialRevert(BatchChain.FloorNotReached.selector);
        chain.finalise(1);
    }

    function test_aProofNeverDelays() external {
        postNext(keccak256("one"));
        vm.warp(block.timestamp + WINDOW - 1);
        vm.prank(AFFIRMATION);
        chain.markProven(1);
        vm.warp(block.timestamp + 1);
        chain.finalise(1);
    }

    function test_policyRefuses() external {
        vm.expectRevert(abi.encodeWithSelector(FixedWindowPolicy.WindowOutOfRange.selector, 0));
        new FixedWindowPolicy(0, 1);
        vm.expectRevert(abi.encodeWithSelector(FixedWindowPolicy.WindowOutOfRange.selector, 2 ** 40));
        new FixedWindowPolicy(2 ** 40, 1);
        vm.expectRevert(abi.encodeWithSelector(FixedWindowPolicy.GuardOutOfRange.selector, 0));
        new FixedWindowPolicy(10, 0);
        vm.expectRevert(abi.encodeWithSelector(FixedWindowPolicy.GuardOutOfRange.selector, 11));
        new FixedWindowPolicy(10, 11);
        vm.assertEq(new FixedWindowPolicy(10, 10).windowSecondsMax(), 10);
    }

    // ── finality ───────────────────────────────────────────────────────────────────────────────────────────────────

    function test_finaliseAtTheFloorAndNotBefore() external {
        bytes32 root = keccak256("one");
        uint64 floor = uint64(block.timestamp) + WINDOW;
        postNext(root);
        vm.warp(floor - 1);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.FloorNotReached.selector, 1, floor));
        chain.finalise(1);
        vm.warp(floor);
        vm.expectEmit(address(chain));
        emit IBatchChain.BatchFinal(1, root);
        vm.expectEmit(address(chain));
        emit IBatchChain.BondCredited(PROPOSER, 1, BOND);
        vm.prank(BOB);
        chain.finalise(1);
        vm.assertEq(chain.finalRoot(1), root);
        vm.assertEq(chain.lastFinal(), 1);
        vm.assertEq(chain.bondCredit(PROPOSER), BOND);
        vm.assertEq(chain.batch(1).bond, 0);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BatchAlreadyFinal.selector, 1));
        chain.finalise(1);
    }

    function test_finaliseNeedsFinalParent() external {
        postNext(keccak256("one"));
        postNext(keccak256("two"));
        vm.warp(block.timestamp + WINDOW);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.ParentNotFinal.selector, 2));
        chain.finalise(2);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchUnknown.selector, 3));
        chain.finalise(3);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BatchAlreadyFinal.selector, 0));
        chain.finalise(0);
        chain.finalise(1);
        chain.finalise(2);
    }

    function test_pokeOnlyRaises() external {
        SettablePolicy policy = new SettablePolicy();
        deployWith(IERC20Metadata(address(usdc)), policy, GENESIS_ROOT);
        uint64 start = uint64(block.timestamp);
        policy.set(start + 100, start + 100);
        postNext(keccak256("one"));
        (uint64 number, uint64 postedAt, uint64 postedBlock, uint64 floor,) = policy.asked();
        vm.assertEq(number, 1);
        vm.assertEq(postedAt, start);
        vm.assertEq(postedBlock, block.number);
        vm.assertEq(floor, 0);
        policy.set(start + 50, start + 100);
        chain.poke(1);
        vm.assertEq(chain.batch(1).floor, start + 100);
        policy.set(start + 300, start + 300);
        vm.expectEmit(address(chain));
        emit IBatchChain.FloorRaised(1, start + 300);
        chain.poke(1);
        vm.assertEq(chain.batch(1).floor, start + 300);
        (,,, floor,) = policy.asked();
        vm.assertEq(floor, start + 100);
        // The policy decides anew at finalisation: neither the stored floor nor an earlier answer is enough.
        policy.set(0, start + 400);
        vm.warp(start + 399);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.FloorNotReached.selector, 1, start + 400));
        chain.finalise(1);
        vm.warp(start + 400);
        chain.finalise(1);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BatchAlreadyFinal.selector, 1));
        chain.poke(1);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchUnknown.selector, 2));
        chain.poke(2);
    }

    // ── drops ──────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_dropPaysTheBeneficiaryAndReturnsDescendantsBonds() external {
        postAndFinalise(keccak256("one"));
        postNext(keccak256("two"));
        postNext(keccak256("three"));
        postNext(keccak256("four"));
        vm.expectEmit(address(chain));
        emit IBatchChain.BatchesDropped(2, 4, BOB);
        vm.expectEmit(address(chain));
        emit IBatchChain.BondCredited(BOB, 2, BOND);
        vm.prank(DISPUTE);
        chain.dropFrom(2, BOB);
        vm.assertEq(chain.lastNumber(), 1);
        vm.assertEq(chain.lastDropAt(), block.timestamp);
        vm.assertEq(chain.bondCredit(BOB), BOND);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchUnknown.selector, 2));
        chain.batch(2);
        vm.warp(block.timestamp + WINDOW);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchUnknown.selector, 2));
        chain.finalise(2);

        vm.expectRevert(abi.encodeWithSelector(BatchChain.BondAlreadyCredited.selector, 2));
        chain.reclaimBond(2);
        vm.expectEmit(address(chain));
        emit IBatchChain.BondCredited(PROPOSER, 3, BOND);
        chain.reclaimBond(3);
        vm.assertEq(chain.bondCredit(PROPOSER), 2 * BOND);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BondAlreadyCredited.selector, 3));
        chain.reclaimBond(3);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BatchNotDropped.selector, 1));
        chain.reclaimBond(1);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BatchNotDropped.selector, 5));
        chain.reclaimBond(5);

        // The numbers are used again; the fourth batch's bond is credited when its record is overwritten.
        postNext(keccak256("other two"));
        postNext(keccak256("other three"));
        vm.assertEq(chain.bondCredit(PROPOSER), 2 * BOND);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BatchNotDropped.selector, 3));
        chain.reclaimBond(3);
        postNext(keccak256("other four"));
        vm.assertEq(chain.bondCredit(PROPOSER), 3 * BOND);
        vm.assertEq(chain.batch(4).bond, BOND);
        vm.assertEq(address(chain).balance, 3 * BOND + 3 * BOND + BOND);
    }

    function test_dropRefuses() external {
        postAndFinalise(keccak256("one"));
        postNext(keccak256("two"));
        vm.expectRevert(abi.encodeWithSelector(BatchChain.CallerNotDispute.selector, PROPOSER));
        vm.prank(PROPOSER);
        chain.dropFrom(2, BOB);
        vm.startPrank(DISPUTE);
        vm.expectRevert(BatchChain.BeneficiaryZero.selector);
        chain.dropFrom(2, address(0));
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BatchAlreadyFinal.selector, 1));
        chain.dropFrom(1, BOB);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.BatchAlreadyFinal.selector, 0));
        chain.dropFrom(0, BOB);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchUnknown.selector, 3));
        chain.dropFrom(3, BOB);
    }

    // ── bonds ──────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_withdrawBond() external {
        postAndFinalise(keccak256("one"));
        uint256 balance = PROPOSER.balance;
        vm.expectEmit(address(chain));
        emit IBatchChain.BondWithdrawn(PROPOSER, BOND);
        vm.prank(PROPOSER);
        chain.withdrawBond();
        vm.assertEq(PROPOSER.balance, balance + BOND);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.NothingToWithdraw.selector, PROPOSER));
        vm.prank(PROPOSER);
        chain.withdrawBond();
    }

    function test_withdrawBondPaysOnceUnderReentry() external {
        HostileBondholder holder = new HostileBondholder(chain, true);
        postNext(keccak256("one"));
        vm.prank(DISPUTE);
        chain.dropFrom(1, address(holder));
        postNext(keccak256("one again"));
        holder.withdraw();
        vm.assertFalse(holder.paidTwice());
        vm.assertEq(holder.answer(), abi.encodePacked(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector));
        vm.assertEq(address(holder).balance, BOND);
        vm.assertEq(address(chain).balance, BOND);
    }

    function test_withdrawBondKeepsCreditWhenRefused() external {
        HostileBondholder holder = new HostileBondholder(chain, false);
        postNext(keccak256("one"));
        vm.prank(DISPUTE);
        chain.dropFrom(1, address(holder));
        vm.expectRevert(Errors.FailedCall.selector);
        holder.withdraw();
        vm.assertEq(chain.bondCredit(address(holder)), BOND);
    }
}
