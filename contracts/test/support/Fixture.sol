// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {TestUsdc} from "../../dev/TestUsdc.sol";
import {BatchChain, ChainTerms} from "../../src/chain/BatchChain.sol";
import {Batch, BatchHeader} from "../../src/chain/IBatchChain.sol";
import {Custody, CustodyTerms, OutboxCell, StateRoots} from "../../src/custody/Custody.sol";
import {FixedWindowPolicy} from "../../src/policy/FixedWindowPolicy.sol";
import {IFinalityPolicy} from "../../src/policy/IFinalityPolicy.sol";
import {IProposerPolicy} from "../../src/policy/IProposerPolicy.sol";
import {SingleProposer} from "../../src/policy/SingleProposer.sol";
import {Reference} from "./Reference.sol";
import {VmTest} from "./Vm.sol";

/// @notice Both contracts with their policies, and batches that the chain accepts.
abstract contract Fixture is VmTest {
    uint32 internal constant DOMAIN = 7;
    uint256 internal constant BOND = 0.5 ether;
    uint64 internal constant WINDOW = 1 hours;
    uint64 internal constant GUARD = 20 minutes;
    uint64 internal constant FORCED_PERIOD = 2 days;
    bytes32 internal constant GENESIS_ROOT = keccak256("genesis");
    address internal constant PROPOSER = address(0x1001);
    address internal constant DISPUTE = address(0x1002);
    address internal constant LISTER = address(0x1003);
    address internal constant ESCAPE = address(0x1004);
    address internal constant AFFIRMATION = address(0x1005);
    address internal constant GOVERNOR = address(0x1006);
    address internal constant ALICE = address(0x2001);
    address internal constant BOB = address(0x2002);

    TestUsdc internal usdc;
    BatchChain internal chain;
    Custody internal custody;

    function deploy() internal {
        usdc = new TestUsdc();
        deployWith(IERC20Metadata(address(usdc)), new FixedWindowPolicy(WINDOW, GUARD), GENESIS_ROOT);
    }

    function deployWith(IERC20Metadata token, IFinalityPolicy policy, bytes32 genesisRoot) internal {
        SingleProposer proposers = new SingleProposer(PROPOSER);
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        chain = new BatchChain(termsOf(predicted, genesisRoot, policy, proposers));
        custody = new Custody(custodyTerms(token));
        vm.deal(PROPOSER, 1_000 ether);
    }

    /// @notice Of a custody at the chain that stands.
    function custodyTerms(IERC20Metadata token) internal view returns (CustodyTerms memory) {
        return CustodyTerms(token, chain, LISTER, GOVERNOR, FORCED_PERIOD, ESCAPE);
    }

    function termsOf(address custody_, bytes32 genesisRoot, IFinalityPolicy policy, IProposerPolicy proposers)
        internal
        pure
        returns (ChainTerms memory)
    {
        return ChainTerms({
            custody: custody_,
            genesisRoot: genesisRoot,
            domain: DOMAIN,
            bondWei: BOND,
            finalityPolicy: policy,
            proposerPolicy: proposers,
            dispute: DISPUTE,
            affirmation: AFFIRMATION
        });
    }

    function fund(address account, uint256 amount) internal {
        usdc.mint(account, amount);
        vm.prank(account);
        usdc.approve(address(custody), type(uint256).max);
    }

    function openAccount(address owner) internal returns (uint24) {
        vm.prank(owner);
        return custody.openAccount();
    }

    /// @notice `count` cycles with distinct payloads and roots, the last root being `lastRoot`.
    function cycles(uint256 count, uint256 payloadBytes, bytes32 lastRoot)
        internal
        pure
        returns (bytes memory data, bytes32 cyclesRoot)
    {
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            bytes memory payload = new bytes(payloadBytes);
            for (uint256 j = 0; j < payloadBytes; ++j) {
                payload[j] = bytes1(uint8((i + j) % 255) + 1);
            }
            bytes32 root = i == count - 1 ? lastRoot : keccak256(abi.encode(lastRoot, i));
            leaves[i] = Reference.cycleLeaf(payload, root);
            data = bytes.concat(data, bytes4(uint32(payloadBytes)), root, payload);
        }
        cyclesRoot = Reference.cyclesRoot(leaves, 0, count);
    }

    /// @notice A valid header and its data after the last batch, consuming the whole queue.
    function nextBatch(uint256 count, bytes32 postStateRoot)
        internal
        view
        returns (BatchHeader memory header, bytes memory data)
    {
        uint64 number = chain.lastNumber();
        Batch memory parent = chain.batch(number);
        header.version = 1;
        header.domain = DOMAIN;
        header.number = number + 1;
        header.parent = parent.batchHash;
        header.preStateRoot = parent.postStateRoot;
        header.postStateRoot = postStateRoot;
        header.cycleCount = uint32(count);
        header.firstCycle = parent.nextCycle;
        header.timeMs = uint64(block.timestamp) * 1000;
        header.inboundCursor = custody.queueLength();
        header.inboundHash = custody.queueHash(header.inboundCursor);
        (data, header.cyclesRoot) = cycles(count, 20, postStateRoot);
        header.dataLength = uint32(data.length);
    }

    function post(BatchHeader memory header, bytes memory data) internal {
        vm.prank(PROPOSER, PROPOSER);
        chain.postBatch{value: BOND}(header, data);
    }

    function postNext(bytes32 postStateRoot) internal returns (uint64 number) {
        (BatchHeader memory header, bytes memory data) = nextBatch(3, postStateRoot);
        post(header, data);
        return header.number;
    }

    function postAndFinalise(bytes32 postStateRoot) internal returns (uint64 number) {
        number = postNext(postStateRoot);
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(number);
    }

    function outboxLeaf(OutboxCell memory cell) internal pure returns (bytes32) {
        return keccak256(
            bytes.concat(
                Reference.littleEndian(cell.account, 3),
                Reference.littleEndian(cell.asset, 2),
                Reference.littleEndian(cell.amount, 8),
                Reference.littleEndian(cell.destinationChain, 8),
                bytes20(cell.recipient)
            )
        );
    }

    function rootsWith(bytes32 outboxRoot) internal pure returns (StateRoots memory) {
        return StateRoots(
            keccak256("accounts"), keccak256("instruments"), keccak256("underlyings"), outboxRoot, keccak256("globals")
        );
    }

    function stateRootOf(StateRoots memory roots) internal pure returns (bytes32) {
        return keccak256(
            bytes.concat(
                roots.accountsRoot, roots.instrumentsRoot, roots.underlyingsRoot, roots.outboxRoot, roots.globalsHash
            )
        );
    }

    /// @notice Makes a batch final whose outbox holds `cell` at `withdrawalNumber` and nothing else.
    function finalOutbox(OutboxCell memory cell, uint32 withdrawalNumber)
        internal
        returns (uint64 number, StateRoots memory roots, bytes32[] memory path)
    {
        path = new bytes32[](32);
        bytes32 node = outboxLeaf(cell);
        bytes32 empty = 0;
        for (uint256 height = 0; height < 32; ++height) {
            path[height] = empty;
            node = (withdrawalNumber >> height) % 2 == 0
                ? keccak256(bytes.concat(node, empty))
                : keccak256(bytes.concat(empty, node));
            empty = keccak256(bytes.concat(empty, empty));
        }
        roots = rootsWith(node);
        number = postAndFinalise(stateRootOf(roots));
    }
}
