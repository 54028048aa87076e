// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What a proposer commits to; batchHash = keccak256(abi.encode(header)).
struct BatchHeader {
    uint32 version;
    uint32 domain;
    uint64 number;
    bytes32 parent;
    bytes32 preStateRoot;
    bytes32 postStateRoot;
    bytes32 cyclesRoot;
    uint32 cycleCount;
    uint64 firstCycle;
    uint64 timeMs;
    uint64 inboundCursor;
    bytes32 inboundHash;
    /// @dev 0 = the data are in the calldata of `postBatch`, 1 = in the one blob of `postBatchBlob`'s transaction.
    uint8 dataMode;
    /// @dev Versioned hash of the blob; 0 in calldata mode.
    bytes32 dataHash;
    /// @dev Bytes of the data.
    uint32 dataLength;
}

/// @notice What the chain keeps of a posted batch. Times in seconds unless the name says otherwise.
struct Batch {
    bytes32 batchHash;
    bytes32 postStateRoot;
    /// @dev firstCycle + cycleCount: the firstCycle of the next batch.
    uint64 nextCycle;
    uint64 timeMs;
    uint64 inboundCursor;
    uint64 floor;
    address proposer;
    /// @dev 0 once the bond has moved to somebody's credit.
    uint96 bond;
    uint64 postedAt;
    uint64 postedBlock;
    /// @dev When every check of the batch had been shown to pass on this chain; 0 = not proven.
    uint64 provenAt;
}

/// @title The chain of batches
interface IBatchChain {
    event BatchPosted(
        uint64 indexed number, bytes32 indexed batchHash, bytes32 postStateRoot, uint64 floor, address proposer
    );
    event FloorRaised(uint64 indexed number, uint64 floor);
    event BatchProven(uint64 indexed number, uint64 provenAt);
    event BatchFinal(uint64 indexed number, bytes32 postStateRoot);
    /// @notice Batches `number` to `lastNumber` are no longer part of the chain.
    event BatchesDropped(uint64 indexed number, uint64 lastNumber, address beneficiary);
    event BondCredited(address indexed account, uint64 indexed number, uint256 amount);
    event BondWithdrawn(address indexed account, uint256 amount);

    error BatchUnknown(uint64 number);
    error BatchNotFinal(uint64 number);

    function postBatch(BatchHeader calldata header, bytes calldata data) external payable;

    /// @notice Posts the next batch with its data in the transaction's one blob.
    function postBatchBlob(BatchHeader calldata header) external payable;

    /// @notice Records that a pending batch has been proven right. Only for the affirmation contract.
    function markProven(uint64 number) external;

    /// @notice Asks the finality policy again; a floor only moves up.
    function poke(uint64 number) external;

    /// @notice Makes the oldest batch that is not final final.
    function finalise(uint64 number) external;

    /// @notice Drops a batch that is not final and all after it. Only for the dispute contract.
    function dropFrom(uint64 number, address beneficiary) external;

    /// @notice The vault that pays by the final roots of this chain.
    function custody() external view returns (address);

    function lastNumber() external view returns (uint64);

    function lastFinal() external view returns (uint64);

    /// @notice Time of the last drop, in seconds; deadlines that a drop moves are counted from it.
    function lastDropAt() external view returns (uint64);

    /// @notice The record of a batch of the chain, 0 being genesis.
    function batch(uint64 number) external view returns (Batch memory);

    /// @notice State root of a final batch; reverts for any other.
    function finalRoot(uint64 number) external view returns (bytes32);
}
